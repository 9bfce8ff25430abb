"""Asking for access: submitted, decided by people or by a missed deadline, appealed; every step is an act."""
