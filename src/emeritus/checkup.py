"""The check of a whole home: ledger, vault, payloads, private parts and journals, each against what it was recorded as.

Reads only. Finds out; it repairs nothing and decides nothing. Knows no face.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from emeritus.acts import Acts
from emeritus.blobs.base import BlobStore
from emeritus.errors import EmeritusError, IntegrityError, LedgerBroken, NotFound
from emeritus.ledger.keys import VerifyKey
from emeritus.ledger.log import Ledger
from emeritus.ledger.verify import verify_log
from emeritus.records.database import Database
from emeritus.records.tables import ActRow, InterviewSession, Preserved, SafetySession
from emeritus.vault.vault import Vault

Progress = Callable[[str, int, int], None]
ELSEWHERE = frozenset({"manifest", "journal"})  # subjects that lie in the vault or in journals/, not in payloads/


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was checked and every problem found, one line each."""

    ledger_size: int
    ledger: list[str] = field(default_factory=list)
    vault: list[str] = field(default_factory=list)
    payloads: list[str] = field(default_factory=list)
    journals: list[str] = field(default_factory=list)
    packs: int = 0
    segments: int = 0
    uncovered: list[str] = field(default_factory=list)  # packs without parity: nothing is wrong with them yet
    unsketched: list[str] = field(default_factory=list)  # residents that the search for bases does not see
    locked: bool = False  # no key of the encrypted vault was at hand: its packs were read, its segments not decoded
    unchecked: list[str] = field(default_factory=list)  # parts that only a sound ledger can name

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.ledger or self.vault or self.payloads or self.journals)

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {"ok": self.ok, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Home:
    """What is checked."""

    acts: Acts
    ledger: Ledger
    database: Database
    vault: Vault
    journals: Path
    seen: Path  # the checkpoint an earlier check saw: the log must have grown from it


def check_home(home: Home, name: str | None = None, *, deep: bool = True, progress: Progress | None = None) -> Checkup:
    """Check everything; with `name`, one resident's files in the vault and the rest whole. `deep` reads every byte."""
    ledger = home.ledger.verify(home.seen)
    vault = home.vault.verify(name, deep=deep, progress=progress)
    return Checkup(
        ledger_size=ledger.size,
        ledger=list(ledger.problems),
        vault=[*vault.problems, *_manifests(home)],
        payloads=_payloads(home) if ledger.ok else [],
        journals=_journals(home),
        packs=vault.packs,
        segments=vault.segments,
        uncovered=list(vault.uncovered),
        unsketched=list(vault.unsketched),
        locked=vault.locked,
        unchecked=[] if ledger.ok else ["payloads"],
    )


def check_broken(
    store: BlobStore, seen: Path, vault: Vault, found: LedgerBroken, progress: Progress | None = None
) -> Checkup:
    """Check a home whose ledger cannot even be opened, for the reason `found`: every entry of it, and the vault."""
    problems = [found.message]
    size = 0
    with suppress(EmeritusError, UnicodeDecodeError):  # without its key no entry can be judged; `found` says so then
        report = verify_log(store, VerifyKey.parse(store.get("vkey").decode()), seen)
        size, problems = report.size, report.problems or problems
    kept = vault.verify(None, deep=True, progress=progress)
    return Checkup(
        ledger_size=size,
        ledger=problems,
        vault=list(kept.problems),
        packs=kept.packs,
        segments=kept.segments,
        unchecked=["payloads", "journals"],
    )


def _manifests(home: Home) -> list[str]:
    """Manifests that the ledger names and the vault has otherwise or not at all."""
    problems = []
    with home.database.reading() as session:
        kept = session.scalars(select(Preserved)).all()
    for row in kept:
        what = f"{row.resident}, {row.role} version {row.version}"
        try:
            found = home.vault.manifest(row.resident, row.role, row.version).sha256
        except EmeritusError as error:
            problems.append(f"the manifest of {what} cannot be read: {error.message}")
            continue
        if found != row.manifest_sha256:
            problems.append(f"the manifest of {what} is {found}, the ledger names {row.manifest_sha256}")
    return problems


def _payloads(home: Home) -> list[str]:
    """Payloads that are missing or damaged, and private parts that are not what was committed to."""
    problems = []
    with home.database.reading() as session:
        withheld = set(session.scalars(select(ActRow.id).where(ActRow.private_withheld)))
    for seq, statement in home.ledger.statements():
        for subject in statement["subject"][1:]:
            if subject["name"] in ELSEWHERE:
                continue
            try:
                home.acts.payload(subject["digest"]["sha256"])
            except (IntegrityError, NotFound) as error:
                problems.append(f"entry {seq}, payload {subject['name']}: {error.message}")
        try:
            act = home.acts.find(statement["predicate"]["id"])
        except IntegrityError as error:
            problems.append(f"entry {seq}: {error.message}")
            continue
        if act is not None and act.private_withheld and act.id not in withheld:
            problems.append(f"entry {seq}: the private part of act {act.id!r} is missing, and nobody erased it")
    return problems


def _journals(home: Home) -> list[str]:
    """Journals that are missing or not what was recorded."""
    problems = []
    with home.database.reading() as session:
        rows = [
            *session.execute(select(InterviewSession.journal, InterviewSession.journal_sha256)),
            *session.execute(select(SafetySession.journal, SafetySession.journal_sha256)),
        ]
    for journal, sha256 in rows:
        path = home.journals / journal
        if not path.is_file():
            problems.append(f"journal {journal} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            problems.append(f"journal {journal} is not what the ledger names")
    return problems
