"""Budgets that hold across processes and restarts: each process reserves slices of a budget in the database.

The database's row of a budget and window says how much has been reserved, by everybody. A process admits requests only
from a slice it has reserved (one transaction, before any of it is used), so what is admitted never exceeds the limit,
however many processes there are and whenever one is killed. A slice is a sixteenth of what is left, so that the last
of a budget can be had by any process; what a process has not used for ten seconds, or has when it closes, it gives
back. One that is killed takes its slice with it until the window ends: less is admitted then, never more.

Tokens are known only after an answer: `charge` may take a line below zero, and that debt is written within a second.
Knows nothing of keys or grants, and decides nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from emeritus.access.limits import KINDS, Line
from emeritus.records.database import Database
from emeritus.records.tables import Budget
from emeritus.records.upsert import insert_for

PARTS = 16  # a slice is this part of what is left
IDLE_S = 10.0  # after this long unused a slice is given back
WRITE_EVERY_S = 1.0  # debts are written this often
DRY_S = 0.25  # how long a budget found empty is not asked for again
KEPT = {"minute": timedelta(hours=1), "day": timedelta(days=3), "month": timedelta(days=70)}  # rows of past windows
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Slice:
    """What this process has of a line. `left` below zero is a debt to be written."""

    limit: int
    left: int = 0
    others: int = 0  # what was not reserved by anybody when the database was last asked
    size: int = 0
    touched: float = 0.0
    dry_until: float = 0.0
    dry_need: int = 0  # as much could not be had: nor can more, until then


class Budgets:
    """The slices of one process. Safe in threads; only `fill`, `write` and `close` touch the database."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._guard = threading.Lock()  # over the slices; held for moments only
        self._slices: dict[Line, _Slice] = {}
        self._low: dict[Line, int] = {}  # lines to be refilled before they are empty: line -> limit
        self._filling = threading.Lock()  # one transaction at a time asks for more
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    # -- in memory ---------------------------------------------------------------------------------------------------

    def left(self, line: Line) -> int:
        """What this process may still admit without asking the database."""
        found = self._slices.get(line)
        return 0 if found is None else found.left

    def known_left(self, line: Line, limit: int) -> int:
        """What is left of a budget as far as this process knows: its slice, and what nobody had reserved."""
        found = self._slices.get(line)
        return limit if found is None else max(0, found.left + found.others)

    def take(self, needs: Mapping[Line, int]) -> bool:
        """Use as much of each line, or nothing of any when one has too little."""
        now = time.monotonic()
        with self._guard:
            slices = [(self._slices.get(line), need) for line, need in needs.items()]
            if any(found is None or found.left < need for found, need in slices):
                return False
            for (line, need), (found, _) in zip(needs.items(), slices, strict=True):
                if found is None:  # never: looked at above
                    continue
                found.left -= need
                found.touched = now
                if found.left * 4 < found.size and found.others > 0 and line not in self._low:
                    self._low[line] = found.limit
                    self._wake.set()
        return True

    def charge(self, amounts: Sequence[tuple[Line, int]]) -> None:
        """Add to what was used of each line (below zero: give back), whatever is left."""
        now = time.monotonic()
        with self._guard:
            for line, amount in amounts:
                if not amount:
                    continue
                found = self._slices.get(line)
                if found is None:
                    found = self._slices[line] = _Slice(limit=0)
                found.left -= amount
                found.touched = now
        if amounts:
            self._start()

    # -- the database ------------------------------------------------------------------------------------------------

    def fill(self, wanted: Mapping[Line, tuple[int, int]]) -> bool:
        """Reserve more of each line: line -> (its limit, what is needed now). False when one cannot have what it needs.

        Raises DatabaseUnavailable; nothing is reserved then.
        """
        with self._filling:
            now, dry = time.monotonic(), False
            with self._guard:
                short = {}
                for line, (limit, need) in wanted.items():
                    found = self._slices.setdefault(line, _Slice(limit))
                    found.limit = limit
                    if found.left < need:
                        missing = need - found.left
                        if found.dry_until > now and missing >= found.dry_need:
                            dry = True
                        else:
                            short[line] = (limit, missing)
            if not short:
                return not dry
            got = self._reserve(short)
            with self._guard:
                for line, (granted, free) in got.items():
                    found = self._slices[line]
                    found.left += granted
                    found.others, found.size, found.touched = free, granted, now
                    if granted < short[line][1]:
                        found.dry_until, found.dry_need = now + DRY_S, short[line][1]
        self._start()
        return not dry and all(granted >= short[line][1] for line, (granted, _) in got.items())

    def write(self, *, everything: bool = False) -> None:
        """Write debts, and give back what has been idle, or everything. Raises DatabaseUnavailable."""
        idle = time.monotonic() - IDLE_S
        moved: dict[Line, int] = {}
        with self._filling:
            with self._guard:
                for line, found in self._slices.items():
                    if found.left < 0 or (found.left > 0 and (everything or found.touched < idle)):
                        moved[line] = -found.left
                        found.left, found.size = 0, 0
            try:
                if moved:
                    self._move(moved)
            except BaseException:
                with self._guard:
                    for line, amount in moved.items():
                        self._slices[line].left -= amount
                raise
            self._drop_past(idle)

    def close(self) -> None:
        """Give everything back and end the thread. Raises DatabaseUnavailable."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self.write(everything=True)

    def clear_past(self) -> None:
        """Delete the database's rows of windows long past."""
        now = self._clock()
        for kind in KINDS:
            before = kind.window_of(now - KEPT[kind.window])
            with self._database.session() as session:
                session.execute(delete(Budget).where(Budget.kind == kind.name, Budget.window < before))

    def _move(self, moved: Mapping[Line, int]) -> None:
        with self._database.session() as session:
            for line in sorted(moved, key=_order):
                self._row(session, line)
                session.execute(update(Budget).where(*_is(line)).values(reserved=Budget.reserved + moved[line]))

    def _drop_past(self, idle: float) -> None:
        """Forget what is settled of windows that are over: each minute brings every limited key another line."""
        now = self._clock()
        current = {kind: kind.window_of(now) for kind in KINDS}
        with self._guard:
            for line in [
                line
                for line, found in self._slices.items()
                if not found.left
                and found.touched < idle
                and line.window < current[line.kind]
                and line not in self._low
            ]:
                del self._slices[line]

    def _reserve(self, short: Mapping[Line, tuple[int, int]]) -> dict[Line, tuple[int, int]]:
        """Line -> (what was reserved for us, what nobody has reserved), in one transaction."""
        got: dict[Line, tuple[int, int]] = {}
        with self._database.session() as session:
            for line in sorted(short, key=_order):  # one order everywhere, so that no two transactions wait in a ring
                limit, need = short[line]
                reserved = self._row(session, line)
                free = max(0, limit - reserved)
                granted = min(free, max(need, free // PARTS))
                if granted < need:
                    granted = 0  # a part of what is needed helps nobody; another's smaller need may fit
                if granted:
                    session.execute(update(Budget).where(*_is(line)).values(reserved=reserved + granted))
                got[line] = (granted, free - granted)
        return got

    def _row(self, session: Session, line: Line) -> int:
        """What of a line is reserved; its row is then locked until the transaction ends."""
        values = {"subject": line.subject, "kind": line.kind.name, "window": line.window, "reserved": 0}
        session.execute(insert_for(session, Budget).values(values).on_conflict_do_nothing())
        return session.execute(select(Budget.reserved).where(*_is(line)).with_for_update()).scalar_one()

    def _start(self) -> None:
        if self._thread is None:
            with self._guard:
                if self._thread is None and not self._closing:
                    self._thread = threading.Thread(target=self._run, name="emeritus-budgets", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        cleared = written = time.monotonic()
        while not self._closing:
            self._wake.wait(WRITE_EVERY_S)
            self._wake.clear()
            try:
                self._top_up()
                if time.monotonic() - written >= WRITE_EVERY_S:
                    written = time.monotonic()
                    self.write()
                if time.monotonic() - cleared > 3600:
                    cleared = time.monotonic()
                    self.clear_past()
            except Exception:  # the thread must outlive whatever the database does; nothing is lost meanwhile
                _log.warning("budgets could not be written; it is tried again", exc_info=True)

    def _top_up(self) -> None:
        with self._guard:
            low, self._low = self._low, {}
            wanted = {line: (limit, max(0, self._slices[line].left) + 1) for line, limit in low.items()}
        for line, need in wanted.items():  # one by one: one that is short must not hinder another
            self.fill({line: need})


def _order(line: Line) -> tuple[str, str, str]:
    return line.subject, line.kind.name, line.window


def _is(line: Line) -> tuple[ColumnElement[bool], ...]:
    return Budget.subject == line.subject, Budget.kind == line.kind.name, Budget.window == line.window
