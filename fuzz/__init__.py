"""Hostile input for every parser, and what must hold for it. `python -m fuzz` runs a target; README.md says how."""
