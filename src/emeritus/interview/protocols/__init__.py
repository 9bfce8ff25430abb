"""Protocols: the shipped TOML files, their schema, the linter and its rules, the forms of a session. Pure."""
