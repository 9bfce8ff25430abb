"""Packs: what one is, and where each segment lies in them."""
