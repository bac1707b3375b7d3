"""Stories told on real processes: ``uemu demo``, and programs to run under uemu.

telling       a story step by step: words, what the kernel did, the picture
lost_read     a read from a file that never arrives in its buffer
reverse_race  a write to a file that carries another process's bytes
registry      the demos by name
"""
