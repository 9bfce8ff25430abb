"""Where a file is cut so that each piece packs well and equal ones meet. A wrong cut costs room, never bytes."""
