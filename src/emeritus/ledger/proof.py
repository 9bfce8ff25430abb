"""A proof to carry away: that an entry is in the log, checked offline with the verifier key alone (C2SP tlog-proof)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any

from emeritus.errors import LedgerBroken
from emeritus.ledger import envelope, tree
from emeritus.ledger.checkpoint import open_checkpoint
from emeritus.ledger.keys import VerifyKey, decode64

_FIRST = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Proof:
    """Index of the entry, its audit path from the leaf up, and the signed checkpoint the path leads to."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes

    @property
    def data(self) -> bytes:
        """The bytes of a `.tlog-proof` file."""
        lines = [_FIRST, f"index {self.index}", *(base64.b64encode(each).decode() for each in self.hashes), ""]
        return "".join(f"{line}\n" for line in lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> Proof:
        """The proof in such a file, unchecked. Raises LedgerBroken when it is none."""
        head, gap, checkpoint = data.partition(b"\n\n")
        try:
            lines = head.decode().split("\n")
            if len(lines) > 1 and lines[1].startswith("extra "):  # opaque and unauthenticated: of no use here
                del lines[1]
            index = _INDEX.fullmatch(lines[1] if len(lines) > 1 else "")
            hashes = tuple(decode64(line) for line in lines[2:])
        except ValueError as error:
            raise LedgerBroken("the proof file is malformed") from error
        if not gap or lines[0] != _FIRST or index is None or any(len(each) != tree.HASH_SIZE for each in hashes):
            raise LedgerBroken("the proof file is malformed")
        return cls(int(index[1]), hashes, checkpoint)


def verify_inclusion(entry: bytes, proof: bytes, vkey: str) -> dict[str, Any]:
    """The statement in `entry` (a DSSE envelope), once shown to be signed and in the log of verifier key line `vkey`.

    `proof` is the bytes of a `.tlog-proof` file. Raises LedgerBroken saying what does not hold.
    """
    key = VerifyKey.parse(vkey)
    parsed = Proof.parse(proof)
    checkpoint = open_checkpoint(parsed.checkpoint, key)
    if not tree.included(tree.leaf_hash(entry), parsed.index, checkpoint.size, parsed.hashes, checkpoint.root):
        raise LedgerBroken(f"the entry is not entry {parsed.index} of the log at {checkpoint.size} entries")
    return envelope.unseal(entry, key)
