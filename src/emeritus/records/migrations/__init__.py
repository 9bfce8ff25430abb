"""How the tables came to be, step by step. `Database.migrate` runs them; a test compares them to the models."""

HEAD = "0020"  # the newest of `versions/`; a test compares it with Alembic's own answer
