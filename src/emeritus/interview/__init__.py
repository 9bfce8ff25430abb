"""Interviews: protocol, conditions, sessions, journal, coding, read-back, and the register of preferences.

A feature: stands on acts, records and the words of engines, knows no other feature and no face. The data's walk:
`protocols` says what is asked and under which conditions, `sessions` asks it and keeps the journal, `studies` holds
many, `coding` marks preferences in the answers, `statistics` says how far they hold, `register` carries them to a
decision; `safety` is a measurement of its own. Here lies what they share: `service` is the one door, `projection`
writes the tables, `queries` reads them into `views`.
"""
