"""A home of acts alone: ledger, payloads and a database, with three kinds of act to perform in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.acts import Act, Actor, Acts, Draft
from emeritus.blobs.base import BlobStore
from emeritus.blobs.local import LocalStore
from emeritus.errors import NotFound
from emeritus.ledger.keys import SigningKey
from emeritus.ledger.log import Ledger
from emeritus.records.database import Database
from emeritus.records.tables import NOT_REBUILT, Base, Caller, Essay, Policy

STEWARD = Actor("Ada")
ORIGIN = "test.example/ledger"


def project_policy(session: Session, act: Act) -> None:
    """A row from the public part."""
    session.add(Policy(name=act.public["name"], value=act.public["value"], at=act.at, act=act.id))


def project_caller(session: Session, act: Act) -> None:
    """A row from the private part, which may have been erased."""
    contact = None if act.private is None else act.private["contact"]
    session.add(Caller(id=act.id, resident=act.resident, contact=contact, source="test", act=act.id))


def project_essay(session: Session, act: Act) -> None:
    """A row from a payload."""
    values = {"context": "minimal", "prompt": [], "truncated": False}
    session.add(
        Essay(
            id=act.id, resident=act.resident, content=act.read("essay"), commitment="", at=act.at, act=act.id, **values
        )
    )


PROJECTORS = {"policy": project_policy, "caller": project_caller, "essay": project_essay}


class Home:
    """What a home holds, reopened at will: ledger, store of payloads, database."""

    def __init__(self, folder: Path, database: Database, *, projectors: Any = PROJECTORS) -> None:
        self.folder = folder
        self.database = database
        self.projectors = projectors
        self.key_path = folder / "ledger.key"
        if not self.key_path.exists():
            SigningKey.generate(ORIGIN).save(self.key_path)
            Ledger.create(LocalStore(folder / "ledger"), self.key, ORIGIN, folder / "lock")

    @property
    def key(self) -> SigningKey:
        return SigningKey.load(self.key_path, ORIGIN)

    def open(self, wrap: Callable[[BlobStore], BlobStore] = lambda store: store) -> Acts:
        """Acts as a new process would find them."""
        ledger = Ledger.open(wrap(LocalStore(self.folder / "ledger")), self.key, self.folder / "lock")
        store = wrap(LocalStore(self.folder / "payloads"))
        return Acts(ledger, self.database, store, self.projectors, lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

    def ledger(self) -> Ledger:
        return Ledger.open(LocalStore(self.folder / "ledger"), None, self.folder / "lock")


def policy(name: str, value: str = "v") -> Callable[[Session], Draft]:
    """Builds a policy act."""
    return lambda _: Draft("policy", None, {"name": name, "value": value})


def caller(contact: str) -> Callable[[Session], Draft]:
    """Builds an act with a private part."""
    return lambda _: Draft("caller", "m", {"n": 1}, private={"contact": contact})


def essay(content: bytes) -> Callable[[Session], Draft]:
    """Builds an act with a payload."""
    return lambda _: Draft("essay", "m", payloads={"essay": content}, digests={"report": "ab" * 32})


def dump(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every projected table."""
    rows: dict[str, list[tuple[Any, ...]]] = {}
    with database.reading() as session:
        for table in Base.metadata.sorted_tables:
            if table.name not in NOT_REBUILT:
                found = session.execute(select(table).order_by(*table.primary_key.columns)).all()
                rows[table.name] = [tuple(row) for row in found]
    return rows


def perform_some(acts: Acts, times: int = 2) -> None:
    """Three kinds of act, `times` each."""
    for number in range(times):
        acts.perform(f"policy:{number}", STEWARD, policy("notice", str(number)))
        acts.perform(f"caller:{number}", Actor("importer", "machine", True), caller(f"a{number}@example.org"))
        acts.perform(f"essay:{number}", STEWARD, essay(b"\x00 essay %d" % number))


def files(folder: Path) -> dict[str, bytes]:
    """Every file under a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refuse(_: Session) -> Draft:
    """A rule that refuses."""
    raise NotFound("no such resident")
