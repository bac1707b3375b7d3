"""Every policy against every scenario: what each cell shows, and what it costs.

`cells`   which cells there are, and what is asked of them.
`run`     one cell: the canonical run, every order, real processes.
`costs`   what a run takes, counted.
`growth`  how that grows with the pages of a scale scenario.
`result`  what a cell showed, and where that is not what is expected.
`share`   many cells, one after the other or by several workers.
"""
