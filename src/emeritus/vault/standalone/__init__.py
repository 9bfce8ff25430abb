"""What travels inside every vault: a README, the format's text, and a decoder on Python's standard library alone."""
