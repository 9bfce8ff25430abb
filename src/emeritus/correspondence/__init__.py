"""Batches and letters: questions kept, answered together in a resident's window, and erased in time."""
