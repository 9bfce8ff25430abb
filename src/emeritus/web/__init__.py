"""Pages for people: the register, residents, interviews, essays, the ledger. Rendered on the server, no scripts."""
