"""Giving back: segments fetched and verified, into a folder or straight into memory."""
