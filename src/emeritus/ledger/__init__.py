"""The append-only record: DSSE in-toto statements in a C2SP tiled Merkle log. Knows no feature and no database."""
