"""Who may call a resident after its retirement: tiers, grants, keys, limits and metering."""
