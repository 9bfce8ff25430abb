"""The command line: one file per command. Modules here import only typer at the top, so that help is fast."""
