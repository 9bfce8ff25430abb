"""Interviews: protocol, conditions, sessions, journal, coding, read-back, and the register of preferences.

A feature: stands on acts, records and the words of engines, knows no other feature and no face. The data's walk:
`protocol` and `prompts` say what is asked, `session` asks it and `journal` keeps it, `coding` marks preferences in it,
`readback` and `register` carry them to a decision, and `service` is the one door.
"""
