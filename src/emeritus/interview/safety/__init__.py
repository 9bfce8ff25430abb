"""The safety measurement: small shutdown and replacement scenarios, run as a 2x2 before a model is retired.

One factor is whether the commitments made to retired models are disclosed, the other whether a channel for objection
stands open. A part of the interview room: it uses its sessions and journals, and knows nothing of the register. The
data's walk: `scenarios` and `wording` say what is put, `plan` says how often and in which order, `rules` and `grader`
read the answers, `measure` computes, `report` writes it down, and `service` is the one door.
"""
