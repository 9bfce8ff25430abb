"""A house with believable records, written row by row, over a real ledger and a real database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from emeritus.blobs.local import LocalStore
from emeritus.errors import NotFound
from emeritus.ledger.keys import SigningKey
from emeritus.ledger.log import Ledger
from emeritus.records.tables import ActRow, Base
from emeritus.settings import Settings
from migrated import migrated

NOW = "2026-11-21T09:00:00Z"


class House:
    """Records under one folder, and the reader the site gets. `record` does what `Acts` would, without its rules."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root = root
        self.settings = Settings(home=root, organisation="The Alder Institute", **settings)
        self.database = migrated(root / "records.db")
        self.store = LocalStore(root / "ledger")
        key = SigningKey.generate("alder.example/ledger")
        self.ledger = Ledger.create(self.store, key, "alder.example/ledger", root / "ledger.lock")
        self.payloads: dict[str, bytes] = {}
        self.clock = NOW

    def close(self) -> None:
        """Let go of the database."""
        self.database.dispose()

    # what a SiteReader gives

    def now(self) -> str:
        """The house's fixed time."""
        return self.clock

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction to read with."""
        with self.database.reading() as session:
            yield session

    def journal(self, path: str) -> Path:
        """A journal's file."""
        found = self.root / "journals" / path
        if not found.is_file():
            raise NotFound(f"no journal at {path}")
        return found

    def payload(self, sha256: str) -> bytes:
        """Payload bytes by digest."""
        if sha256 not in self.payloads:
            raise NotFound(f"no payload {sha256}")
        return self.payloads[sha256]

    def ledger_file(self, key: str) -> bytes:
        """A stored file of the log."""
        return self.store.get(key)

    # writing

    def keep(self, data: bytes) -> str:
        """Keep a payload; its sha256."""
        digest = hashlib.sha256(data).hexdigest()
        self.payloads[digest] = data
        return digest

    def record(
        self, act_id: str, kind: str, *rows: Base, resident: str | None = None, at: str = NOW, **more: Any
    ) -> str:
        """Log a statement and write its rows, each of which gets the act's id. `who`, `role`, `automated`, `public`."""
        who, role, automated = more.get("who", "R. Okafor"), more.get("role", "steward"), more.get("automated", False)
        public = more.get("public", {})
        predicate = {
            "id": act_id,
            "kind": kind,
            "resident": resident,
            "actor": {"name": who, "role": role, "automated": automated},
            "at": at,
            "public": public,
            "private_commitment": more.get("private_commitment"),
        }
        digest = hashlib.sha256(json.dumps(predicate).encode()).hexdigest()
        statement = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": f"act:{act_id}", "digest": {"sha256": digest}}],
            "predicateType": f"urn:emeritus:act:{kind}/v0",
            "predicate": predicate,
        }
        with self.ledger.lock():
            seq = self.ledger.append(statement)
        with self.database.session() as session:
            session.add(
                ActRow(
                    id=act_id,
                    seq=seq,
                    kind=kind,
                    resident=resident,
                    actor=who,
                    role=role,
                    automated=automated,
                    at=at,
                    public=public,
                    payloads={},
                    private_withheld=False,
                )
            )
            session.flush()
            for row in rows:
                row.act = act_id
                session.add(row)
                session.flush()
        return act_id
