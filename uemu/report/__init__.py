"""What people read: drawings of runs, stories of violations, tables.

`drawing`       a run as columns, one per task, in plain text.
`drawing_json`  the same as data, `svg` as a picture.
`race`          a run and the words around its drawing.
`columns`       cells that fit a width.
`story`         a violation, or a verdict, in numbered lines.
`way_back`      the command that replays a run.
`tables`        policies and scenarios, for a terminal.
`scene`         processes, frames and a device, for a terminal.

Of programs that `uemu run` runs:

`run_report`     how a run ended, what it violated, what it covered.
`repeat_report`  the same of many runs, counted.
`trace_line`     an event in a line.

Pages for a browser are in `html`.

Nothing here decides anything, and nothing is wider than 100 columns.
"""
