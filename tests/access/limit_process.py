"""A process that calls as fast as it is let: argv is a database's address, a key, a resident and how many tries.

Prints how many calls were admitted. With `--hang` it then waits to be killed, keeping what it has reserved.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime

from emeritus.access.gate import Call, Gate
from emeritus.errors import QuotaExceeded
from emeritus.records.database import Database


def main(url: str, key: str, resident: str, tries: str, *flags: str) -> None:
    """Call, and say how often it was let."""
    database = Database.open(url)
    gate = Gate(database, lambda: datetime(2027, 3, 1, 12, tzinfo=UTC))
    admitted = 0
    for _ in range(int(tries)):
        try:
            gate.admit(Call(key, resident))
        except QuotaExceeded:
            continue
        admitted += 1
    print(admitted, flush=True)
    if "--hang" in flags:
        time.sleep(60)
    gate.close()
    database.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
