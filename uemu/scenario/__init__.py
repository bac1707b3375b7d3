"""Small programs with a race in them, one text for every way to run it.

actions     the vocabulary: what a thread of a program can do
script      a scenario: threads as generators of actions, and what they share
turns       what telling one in order means: who goes on, who waits
simulate    runs one on the simulated MMU in its canonical order
live        runs the same text on real processes
tasks       a script as a task: the steps behind its actions
world       offers all of them, step by step, to whoever explores every order
lives       how its processes come and go
state       how its pages look in a drawing
hardware    what such a world runs on: the port, and what is simulated
verdict     what a run showed
registry    the scenarios by name; each has a file of its own
families    which of them belong together
"""
