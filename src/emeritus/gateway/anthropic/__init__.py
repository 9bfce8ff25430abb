"""Anthropic's wire format: what its clients send and read, over the gateway's core."""
