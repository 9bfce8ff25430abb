"""Tables, migrations and sessions over SQLite and PostgreSQL. Rows are projections of the ledger, save accounts, keys and metering."""
