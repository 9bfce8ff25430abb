"""How the tables came to be, step by step. `Database.migrate` runs them; a test compares them to the models."""
