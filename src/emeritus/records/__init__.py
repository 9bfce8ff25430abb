"""Tables, migrations and sessions over SQLite and PostgreSQL. Most rows are projections of the ledger."""
