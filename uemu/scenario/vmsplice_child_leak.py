"""A child keeps a reference to its parent's page: CVE-2020-29374.

The child puts a page that it shares with its parent into a pipe and unmaps
it. Only the parent maps the page now, so its store finds nobody to copy for,
and what it stores, a secret, lands in the page that the pipe refers to. The
child reads the pipe.

Rule: a write fault must not reuse a page that anybody refers to; or a
reference must not be to a page that others map.
Source: Linux kernel commit 17839856fd58 ("gup: document and work around "COW
can break either way" issue"); ground truth, cases c5 and c6.
"""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.scenario.actions import Complete, DirectWrite, Munmap, Store
from uemu.scenario.lost_read import fork
from uemu.scenario.script import Scenario, Script, Stage, map_and_fill


def cpu(stage: Stage) -> Script:
    """Store a secret."""
    yield Store(stage.buf, b"S")


def child(stage: Stage) -> Script:
    """Keep the page in a pipe and nowhere else, and look into the pipe later."""
    pipe = yield DirectWrite(stage.buf, PAGE_SIZE, api="vmsplice")
    yield Munmap(stage.buf, PAGE_SIZE)
    yield Complete(pipe)


SCENARIO = Scenario(
    name="vmsplice-child-leak",
    summary="fork, child fills a pipe with the shared page and unmaps it, parent stores a secret,"
    " child reads the pipe; if the write fault asks only who maps the page, the child reads the"
    " secret",
    setup=map_and_fill,
    threads={"fork": fork, "cpu": cpu},
    children={"child": child},
    order="fork child child cpu child",
)
