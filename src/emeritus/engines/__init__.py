"""Ways to make one model answer, each in its own module. Knows no vault, no database, no web."""
