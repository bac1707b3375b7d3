"""Pages to be read in a browser: one file each, and nothing from elsewhere.

`page`       what all pages share: the frame, the look, the theme.
`drawing`    a run as a table that looks like its drawing.
`matrix`     every policy against every scenario.
`templates`  what is on them (Jinja).
`assets`     how they look and behave (CSS, JavaScript).

A page asks no network, works from a file, follows the reader's light or dark
theme and has a switch for it, and prints. What a colour says, a sign or a word
says too.
"""
