"""The chat page: people talk with retired models, and nothing of it is kept."""
