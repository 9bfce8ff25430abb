"""Studies of many sessions: designed, estimated, planned as acts, and held from wherever they stand."""
