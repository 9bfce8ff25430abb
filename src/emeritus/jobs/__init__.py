"""Short, idempotent work: retried, resumed after a crash, and scheduled. Knows no feature and no ledger."""
