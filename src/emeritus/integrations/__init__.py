"""What other programs load: a package for each. `inspect`: the interview as a task of Inspect AI, and its logs.

`vllm`: a loader that reads weights from a vault. `transformers`: a resident as a plain model, for people's own scripts.

May import anything below the faces; nothing of ours imports it but the command line.
"""
