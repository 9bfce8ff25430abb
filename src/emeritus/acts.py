"""Acts: the order of truth, in one place.

An act is one thing that was done: payload and private bytes become durable first, then a signed statement enters the
ledger under the act's id, then SQL rows are written by the act's projector. Projectors are the only writers of
projected tables, and the same ones run for a new act, for a statement a crash kept from SQL (`catch_up`) and for a
rebuild from nothing (`rebuild`); so SQL cannot say anything the ledger does not.

Knows no feature: the projectors are handed in as a table from act kind to function.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from emeritus.blobs.base import BlobStore
from emeritus.errors import ActConflict, IntegrityError, LedgerBroken, NotFound
from emeritus.ledger.log import Ledger
from emeritus.records.database import Database
from emeritus.records.tables import NOT_REBUILT, ActRow, Base

Json = dict[str, Any]
PREDICATE = "urn:emeritus:act:"  # + kind + "/v0": the in-toto predicate type of a statement


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces, UTF-8: the one form that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def utc_now() -> datetime:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def stamp(moment: datetime) -> str:
    """RFC 3339, UTC, seconds: the form every record uses."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. An automated actor is labelled wherever its acts are shown."""

    name: str
    role: str = "steward"
    automated: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """What an act will state. `public` enters the ledger; of `private` only a salted commitment does.

    `payloads` are named bytes kept by content; `digests` names things that are durable already (a manifest, a journal).
    """

    kind: str
    resident: str | None
    public: Json = field(default_factory=dict)
    private: Json | None = None
    payloads: Mapping[str, bytes] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)  # name -> sha256 hex


@dataclass(frozen=True, slots=True)
class Act:
    """A recorded act, as projectors see it. `private` is None when there was none or it has been erased."""

    id: str
    seq: int
    kind: str
    resident: str | None
    actor: Actor
    at: str
    public: Json
    private: Json | None
    salt: str | None
    payloads: Mapping[str, str]  # name -> sha256 hex, payloads and digests alike
    read: Callable[[str], bytes]  # payload bytes by name
    private_withheld: bool = False


Projector = Callable[[Session, Act], None]


class Acts:
    """Performs acts and projects them. One per process and home; safe in threads, and beside other processes."""

    def __init__(
        self,
        ledger: Ledger,
        database: Database,
        store: BlobStore,
        projectors: Mapping[str, Projector],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._ledger = ledger
        self._database = database
        self._store = store
        self._projectors = projectors
        self._clock = clock

    @property
    def now(self) -> str:
        """The clock's time as records write it."""
        return stamp(self._clock())

    def perform(self, act_id: str, actor: Actor, build: Callable[[Session], Draft]) -> Act:
        """Do an act once. An act with this id that exists already is returned as it is, and `build` is not called.

        `build` runs while no other act can happen anywhere, so what it reads stays true until the act is recorded; it
        raises to refuse, and then nothing has been written. It must not perform another act.
        """
        with self._ledger.lock():
            self._catch_up()
            found = self.find(act_id)
            if found is not None:
                return found
            with self._database.session() as session:
                draft = build(session)
            if draft.kind not in self._projectors:
                raise ActConflict(f"no room knows acts of kind {draft.kind!r}", kind=draft.kind)
            statement = self._make_durable(act_id, actor, draft)
            self._ledger.append(statement)
            self._catch_up()
        done = self.find(act_id)
        if done is None:
            raise LedgerBroken(f"act {act_id!r} was appended but cannot be found again")
        return done

    def find(self, act_id: str) -> Act | None:
        """The act of that id, if SQL knows it (call `catch_up` first after a crash; `app` does)."""
        with self._database.session() as session:
            row = session.get(ActRow, act_id)
            return None if row is None else self._from_row(row)

    def catch_up(self) -> int:
        """Project the statements SQL does not have yet; returns how many."""
        with self._ledger.lock():
            return self._catch_up()

    def rebuild(self) -> int:
        """Empty every projected table and refill it from ledger, payloads and private files; returns the acts projected."""
        with self._ledger.lock():
            with self._database.session() as session:
                for table in reversed(Base.metadata.sorted_tables):
                    if table.name not in NOT_REBUILT:
                        session.execute(delete(table))
            return self._catch_up()

    def erase_private(self, act_id: str) -> None:
        """Erase the private part of an act: the file goes, the proofs hold, the projected rows say 'withheld'."""
        if self.find(act_id) is None:
            raise NotFound(f"no act {act_id!r}")
        self._store.delete(self._private_key(act_id))
        self.rebuild()

    def payload(self, sha256: str) -> bytes:
        """Payload bytes by their digest, verified. Raises IntegrityError or NotFound."""
        data = self._store.get(self._payload_key(sha256))
        if hashlib.sha256(data).hexdigest() != sha256:
            raise IntegrityError(f"payload {sha256} is damaged: its sha256 differs", sha256=sha256)
        return data

    # -- inside the lock ---------------------------------------------------------------------------------------------

    def _make_durable(self, act_id: str, actor: Actor, draft: Draft) -> Json:
        digests = dict(draft.digests)
        for name, data in draft.payloads.items():
            digests[name] = hashlib.sha256(data).hexdigest()
            self._store.put_if_absent(self._payload_key(digests[name]), data)
        commitment = None
        if draft.private is not None:
            salt = secrets.token_hex(32)
            body = canonical({"salt": salt, "data": draft.private})
            commitment = hashlib.sha256(body).hexdigest()
            self._store.put(self._private_key(act_id), body)  # a crash may have left one of an act that was never logged
        predicate: Json = {
            "id": act_id,
            "kind": draft.kind,
            "resident": draft.resident,
            "actor": {"name": actor.name, "role": actor.role, "automated": actor.automated},
            "at": self.now,
            "public": draft.public,
            "private_commitment": commitment,
        }
        subject = [{"name": f"act:{act_id}", "digest": {"sha256": hashlib.sha256(canonical(predicate)).hexdigest()}}]
        subject += [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(digests.items())]
        return {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subject,
            "predicateType": f"{PREDICATE}{draft.kind}/v0",
            "predicate": predicate,
        }

    def _catch_up(self) -> int:
        with self._database.session() as session:
            last = session.scalar(select(func.max(ActRow.seq)))
            start = 0 if last is None else last + 1
            if start > self._ledger.size:
                raise LedgerBroken(
                    f"the database knows {start} acts but the ledger holds {self._ledger.size}",
                    remedy="The database belongs to another ledger, or the ledger lost entries: restore the ledger from a copy, "
                    "or run `emeritus verify --rebuild` if this ledger is the right one.",
                )
        count = 0
        for seq, statement in self._ledger.statements(start):
            act = self._from_statement(seq, statement)
            with self._database.session() as session:  # one transaction per act: a crash between two leaves whole acts
                session.add(self._row(act))
                session.flush()
                self._projectors[act.kind](session, act)
            count += 1
        return count

    def _from_statement(self, seq: int, statement: Json) -> Act:
        predicate = statement["predicate"]
        salt, private, withheld = None, None, False
        if predicate["private_commitment"] is not None:
            salt, private = self._private(predicate["id"], predicate["private_commitment"])
            withheld = private is None
        actor = Actor(**predicate["actor"])
        payloads = {entry["name"]: entry["digest"]["sha256"] for entry in statement["subject"][1:]}
        if predicate["kind"] not in self._projectors:
            raise LedgerBroken(f"entry {seq} states a {predicate['kind']!r}, which this version does not know")
        return Act(
            predicate["id"],
            seq,
            predicate["kind"],
            predicate["resident"],
            actor,
            predicate["at"],
            predicate["public"],
            private,
            salt,
            payloads,
            lambda name: self.payload(payloads[name]),
            withheld,
        )

    def _private(self, act_id: str, commitment: str) -> tuple[str | None, Json | None]:
        try:
            body = self._store.get(self._private_key(act_id))
        except NotFound:
            return None, None
        if hashlib.sha256(body).hexdigest() != commitment:
            raise IntegrityError(f"the private part of act {act_id!r} does not match its commitment", act=act_id)
        value = json.loads(body)
        return value["salt"], value["data"]

    def _from_row(self, row: ActRow) -> Act:
        statement = self._ledger.statement(row.seq)
        return self._from_statement(row.seq, statement)

    @staticmethod
    def _row(act: Act) -> ActRow:
        return ActRow(
            id=act.id,
            seq=act.seq,
            kind=act.kind,
            resident=act.resident,
            actor=act.actor.name,
            role=act.actor.role,
            automated=act.actor.automated,
            at=act.at,
            public=act.public,
            payloads=dict(act.payloads),
            private_withheld=act.private_withheld,
        )

    @staticmethod
    def _payload_key(sha256: str) -> str:
        return f"payloads/{sha256[:2]}/{sha256}"

    @staticmethod
    def _private_key(act_id: str) -> str:
        return f"private/{hashlib.sha256(act_id.encode()).hexdigest()}.json"
