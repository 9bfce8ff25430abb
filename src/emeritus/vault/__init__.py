"""Bytes kept: preserve, verify, restore. Synchronous; knows stores, and no database, no web and no model runtime."""
