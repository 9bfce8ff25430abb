"""Checkpoints: a tree's size and root as a signed note (C2SP tlog-checkpoint, signed-note). Pure text in and out."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from emeritus.errors import LedgerBroken
from emeritus.ledger.keys import SigningKey, VerifyKey, decode64
from emeritus.ledger.tree import HASH_SIZE

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says: the log's origin, its number of entries and the root hash over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note's text: three lines, without extensions."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def sign(self, key: SigningKey) -> bytes:
        """The checkpoint as a signed note, the bytes of the `checkpoint` file."""
        return sign_note(self.text, key)


def sign_note(text: str, key: SigningKey) -> bytes:
    """A note (text ending in a newline) with one Ed25519 signature line."""
    signature = base64.b64encode(key.verify_key.note_hash + key.sign(text.encode())).decode()
    return f"{text}\n— {key.verify_key.name} {signature}\n".encode()


def open_note(note: bytes, key: VerifyKey) -> str:
    """The text of a note this key signed; lines of other keys (witnesses) are ignored. Raises LedgerBroken."""
    try:
        text, gap, signatures = note.decode().rpartition("\n\n")
    except UnicodeDecodeError as error:
        raise LedgerBroken("the note is not UTF-8 text") from error
    if not gap or not signatures.endswith("\n"):
        raise LedgerBroken("the note has no signature lines")
    text += "\n"
    for line in signatures[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        try:
            raw = decode64(encoded)
        except ValueError as error:
            raise LedgerBroken("a signature line of the note is malformed") from error
        if dash != "—" or not name or len(raw) < 5:
            raise LedgerBroken("a signature line of the note is malformed")
        if (name, raw[:4]) == (key.name, key.note_hash):
            if not key.verifies(text.encode(), raw[4:]):
                raise LedgerBroken("the note's signature does not hold")
            return text
    raise LedgerBroken(f"the note is not signed with the key of {key.name!r}")


def open_checkpoint(note: bytes, key: VerifyKey) -> Checkpoint:
    """The checkpoint in a signed note, its signature and origin verified. Raises LedgerBroken."""
    lines = open_note(note, key).split("\n")
    if len(lines) < 4 or not _SIZE.fullmatch(lines[1]):
        raise LedgerBroken("the checkpoint does not hold an origin, a size and a root hash")
    try:
        root = decode64(lines[2])
    except ValueError as error:
        raise LedgerBroken("the checkpoint's root hash is not base64") from error
    if lines[0] != key.name or len(root) != HASH_SIZE:
        raise LedgerBroken(f"the checkpoint is of log {lines[0]!r}, not of {key.name!r}, or its root is no SHA-256")
    return Checkpoint(lines[0], int(lines[1]), root)
