"""Lifecycle: the three axes, callers and notices, gates, policies, and the post-deployment report."""
