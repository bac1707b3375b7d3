"""What each scenario shows under each kernel in its canonical order, and why.

One file per scenario, of the same name. Written from the sources of the
kernels and the mails, not from runs: where a run disagrees, one of the two is
wrong, and which has to be found out. Nothing here decides anything: a cell is
run, and then compared.

cell    how an expectation is written down
lookup  finds the one of a cell
"""
