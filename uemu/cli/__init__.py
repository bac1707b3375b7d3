"""The command line: ``uemu COMMAND``.

`main`      the parser, exit codes, what becomes of errors.
`parser`    options as argparse knows them, and how a wrong one is refused.
`output`    consoles and files.
`names`     policies, scenarios and worlds by name.
`show`      a run on the terminal, `result_files` in files.
`coverage`  which orders of steps are run, `workers` who runs them.
`deaf`      what Ctrl-C does while a program runs that gets it itself.

Each other module is one command: ``add_parser`` says what it takes, ``run``
does it and returns the exit status.
"""
