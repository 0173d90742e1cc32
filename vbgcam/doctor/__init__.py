"""What is wrong with this machine, and the exact command that fixes it.

A check looks at the machine through a `Machine` (the file system below a root, commands with a time limit, the
environment, a few questions to the rooms next door) and says what it found as `Check` values; it fixes nothing itself.
They come in the order in which a person fixes: the first one that is wrong is the cause to begin with.

At their top the modules here import nothing but the standard library: a broken library is one of the things that are
looked for.
"""
