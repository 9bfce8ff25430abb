"""Who is awake: a pure scheduler, its effects, the tiers, the cost planner. Knows engines, no other feature."""
