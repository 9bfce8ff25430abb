"""Keeping sound: which bytes may lie under a key, verifying, repairing, copying to other stores."""
