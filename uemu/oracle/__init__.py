"""Judging what happened, from events alone.

`violations` names what can be violated; `judge` watches the events and says
what was. Neither knows any policy.
"""
