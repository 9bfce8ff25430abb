"""Preserving: a folder read once, its segments encoded, proven and packed; near tensors found to differ from."""
