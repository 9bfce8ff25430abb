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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.blobs.base import BlobStore
from emeritus.errors import ActConflict, BadName, IntegrityError, LedgerBroken, NotFound
from emeritus.ledger.log import Ledger
from emeritus.records.database import Database
from emeritus.records.tables import ActRow

Json = dict[str, Any]
ID_LENGTH = 200  # characters of an act's id, as the acts table has them
PREDICATE = "urn:emeritus:act:"  # + kind + "/v0": the in-toto predicate type of a statement


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces, UTF-8: the one form that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def utc_now() -> datetime:
    """The time, in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def stamp(moment: datetime) -> str:
    """RFC 3339, UTC, seconds: the form every record uses."""
    return f"{moment.astimezone(UTC).isoformat()[:19]}Z"


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

    @property
    def origin(self) -> str:
        """The ledger's name, as its checkpoint and its verifier key line have it."""
        return self._ledger.origin

    def sign(self, statement: Json) -> bytes:
        """A statement of its own in a DSSE envelope, signed with the ledger's key; an act then names its bytes.

        Raises SigningKeyUnusable, StatementTooLarge.
        """
        return self._ledger.seal(statement)

    def perform(self, act_id: str, actor: Actor, build: Callable[[Session], Draft]) -> Act:
        """Do an act once. An act with this id that exists already is returned as it is, and `build` is not called.

        `build` runs while no other act can happen anywhere, so what it reads stays true until the act is recorded; it
        raises to refuse, and then nothing has been written. Its session only reads; it must not perform another act.
        """
        if not 0 < len(act_id) <= ID_LENGTH:
            raise BadName(f"act id {act_id[:80]!r} is not 1 to {ID_LENGTH} characters long")
        with self._ledger.lock():
            self._catch_up()
            found = self.find(act_id)
            if found is not None:
                return found
            with self._database.reading() as session:
                draft = build(session)
            return self._record(act_id, actor, draft)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While this lasts only this thread performs acts: for a look that decides whether there is anything to do."""
        with self._ledger.lock():
            self._catch_up()
            yield

    def find(self, act_id: str) -> Act | None:
        """The act of that id, if SQL knows it (call `catch_up` first after a crash; `app` does)."""
        with self._database.reading() as session:
            row = session.get(ActRow, act_id)
        return None if row is None else self._from_statement(row.seq, self._ledger.statement(row.seq))

    def catch_up(self) -> int:
        """Project the statements SQL does not have yet; returns how many."""
        with self._ledger.lock():
            return self._catch_up()

    def rebuild(self) -> int:
        """Empty every projected table and refill it from ledger, payloads and private files; returns how many acts.

        One transaction: readers see the old rows until the new ones are complete, and a crash leaves the old ones.
        """
        with self._ledger.lock(), self._database.session() as session:
            self._database.empty_projections(session)
            count = 0
            for seq, statement in self._ledger.statements():
                self._project(session, self._from_statement(seq, statement))
                session.expunge_all()  # a projector sees rows, never what an earlier act left in memory
                count += 1
            return count

    def erase_private(self, act_id: str) -> None:
        """Erase the private part of an act: the file goes, the proofs hold, the projected rows say 'withheld'.

        May be repeated; repeat it after a crash, which can leave the file gone and the rows not yet rewritten.
        """
        with self._ledger.lock():
            self._catch_up()
            if self.find(act_id) is None:
                raise NotFound(f"no act {act_id!r}")
            self._store.delete(self._private_key(act_id))
            self.rebuild()
            self._database.settle()

    def payload(self, sha256: str) -> bytes:
        """Payload bytes by their digest, verified. Raises IntegrityError or NotFound."""
        data = self._store.get(self._payload_key(sha256))
        if hashlib.sha256(data).hexdigest() != sha256:
            raise IntegrityError(f"payload {sha256} is damaged: its sha256 differs", sha256=sha256)
        return data

    # -- inside the lock

    def _record(self, act_id: str, actor: Actor, draft: Draft) -> Act:
        """Everything that could refuse the act, sealing and projecting it, happens before its first byte is kept.

        The SQL transaction is open around the ledger's append and commits after it, so the order of truth holds: a
        crash in between leaves a statement without rows, which `_catch_up` projects.
        """
        if draft.kind not in self._projectors:
            raise ActConflict(f"no room knows acts of kind {draft.kind!r}", kind=draft.kind)
        private = None
        if draft.private is not None:
            private = canonical({"salt": secrets.token_hex(32), "data": draft.private})
        statement = self._statement(act_id, actor, draft, private)
        self._ledger.seal(statement)
        act = self._act(self._ledger.size, json.loads(canonical(statement)), private, draft.payloads)
        with self._database.session() as session:
            self._project(session, act)
            for name, data in draft.payloads.items():
                self._store.put_if_absent(self._payload_key(act.payloads[name]), data)
            if private is not None:  # put: a crash may have left one of an act that was never logged
                self._store.put(self._private_key(act_id), private)
            self._ledger.append(statement)
        return act

    def _statement(self, act_id: str, actor: Actor, draft: Draft, private: bytes | None) -> Json:
        digests = dict(draft.digests)
        digests.update((name, hashlib.sha256(data).hexdigest()) for name, data in draft.payloads.items())
        predicate: Json = {
            "id": act_id,
            "kind": draft.kind,
            "resident": draft.resident,
            "actor": {"name": actor.name, "role": actor.role, "automated": actor.automated},
            "at": self.now,
            "public": draft.public,
            "private_commitment": None if private is None else hashlib.sha256(private).hexdigest(),
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
        with self._database.reading() as session:
            last = session.scalars(select(ActRow).order_by(ActRow.seq.desc()).limit(1)).first()
        if last is not None:
            self._compare(last)
        count = 0
        for seq, statement in self._ledger.statements(0 if last is None else last.seq + 1):
            with self._database.session() as session:  # one transaction per act: a crash between two leaves whole acts
                self._project(session, self._from_statement(seq, statement))
            count += 1
        return count

    def _compare(self, last: ActRow) -> None:
        """The database's last act must be the ledger's entry of that index."""
        size = self._ledger.size
        if last.seq >= size or self._ledger.statement(last.seq)["predicate"]["id"] != last.id:
            raise LedgerBroken(
                f"the database knows act {last.id!r} as entry {last.seq}; the ledger of {size} entries does not",
                remedy="The database belongs to another ledger, or the ledger lost entries: restore the ledger from a "
                "copy, or run `emeritus verify --rebuild` if this ledger is the right one.",
                database=True,
            )

    def _project(self, session: Session, act: Act) -> None:
        session.add(self._row(act))
        session.flush()
        self._projectors[act.kind](session, act)
        session.flush()

    def _from_statement(self, seq: int, statement: Json) -> Act:
        """The act an entry states, with its private part while that exists."""
        predicate = statement["predicate"]
        if predicate["kind"] not in self._projectors:
            raise LedgerBroken(f"entry {seq} states a {predicate['kind']!r}, which this version does not know")
        private = None
        if predicate["private_commitment"] is not None:
            private = self._private(predicate["id"], predicate["private_commitment"])
        return self._act(seq, statement, private, {})

    def _act(self, seq: int, statement: Json, private: bytes | None, at_hand: Mapping[str, bytes]) -> Act:
        predicate = statement["predicate"]
        payloads = {entry["name"]: entry["digest"]["sha256"] for entry in statement["subject"][1:]}
        opened: Json = {"salt": None, "data": None} if private is None else json.loads(private)
        return Act(
            id=predicate["id"],
            seq=seq,
            kind=predicate["kind"],
            resident=predicate["resident"],
            actor=Actor(**predicate["actor"]),
            at=predicate["at"],
            public=predicate["public"],
            private=opened["data"],
            salt=opened["salt"],
            payloads=payloads,
            read=lambda name: at_hand[name] if name in at_hand else self.payload(payloads[name]),
            private_withheld=private is None and predicate["private_commitment"] is not None,
        )

    def _private(self, act_id: str, commitment: str) -> bytes | None:
        try:
            body = self._store.get(self._private_key(act_id))
        except NotFound:
            return None
        if hashlib.sha256(body).hexdigest() != commitment:
            raise IntegrityError(f"the private part of act {act_id!r} does not match its commitment", act=act_id)
        return body

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
