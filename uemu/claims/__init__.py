"""What was claimed about fork, COW and get_user_pages, decided by runs.

A claim is data: its words, where they stand, and the *readings* they allow. A
reading is a list of questions to the explorer, each with the answer that the
claim gives: a scenario under a policy shows a violation in some order of steps, or
in none; a figure is what it was said to be. It holds if every answer is the
claimed one. No verdict is written down anywhere: `verdict` computes it from the
answers. What is written down is what was *expected* of it, and why.

`source`    who said it, when, and where it is found.
`where`     the worlds that are searched: a scenario, a policy, two switches.
`watch`     what is looked for beside violations: who left a frame first, and such;
            `frame_watches`, `io_watches` and `mapping_watches` have them, `watches` by name.
`question`  a search and the answer that a claim gives.
`measure`   a cost and what a claim says it is.
`claim`     a claim, its readings; the verdict on it.
`survey`    asks the questions of many claims, each once, in one process or in several.
`findings`  the verdicts as a document, ``uemu/FINDINGS.md``.
`registry`  the claims by id; the other files hold them, one family each.
"""
