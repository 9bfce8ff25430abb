"""What each tier would cost and how long callers would wait: traces replayed through the real scheduler. Pure."""
