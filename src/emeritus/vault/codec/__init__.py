"""How a segment's bytes are encoded: a table of encodings, each proven on the very bytes before they are kept."""
