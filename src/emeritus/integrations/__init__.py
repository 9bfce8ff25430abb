"""What other programs load: a package for each. `inspect`: the interview as a task of Inspect AI, and its logs.

May import anything below the faces; nothing of ours imports it but the command line.
"""
