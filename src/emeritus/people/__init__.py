"""Local accounts: who works in this home, with which role, and how they prove it."""
