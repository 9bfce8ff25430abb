"""The ledger's notes, envelopes, bundles and proofs. An input may ask to be signed: else none gets past a key."""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from emeritus.ledger import envelope, tiles, tree
from emeritus.ledger.checkpoint import Checkpoint, open_checkpoint, sign_note
from emeritus.ledger.keys import SigningKey, VerifyKey
from emeritus.ledger.proof import Proof, verify_inclusion
from fuzz.target import Target, attempt, expect

KEY = SigningKey("example.org/ledger", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
STATEMENT = {"_type": "https://in-toto.io/Statement/v1", "predicate": {"n": 1}, "subject": []}


def check_envelope(data: bytes) -> None:
    """A first byte 1: what follows is a payload, to be signed; else it is the envelope."""
    if data[:1] == b"\1":
        sig = base64.b64encode(KEY.sign(envelope.pae(envelope.PAYLOAD_TYPE, data[1:]))).decode()
        signed = {
            "payload": base64.b64encode(data[1:]).decode(),
            "payloadType": envelope.PAYLOAD_TYPE,
            "signatures": [{"keyid": KEY.verify_key.id, "sig": sig}],
        }
        read, statement = attempt(lambda: envelope.unseal(json.dumps(signed).encode(), KEY.verify_key))
        expect(not read or isinstance(statement, dict), "a statement is no object")
    else:
        attempt(lambda: envelope.unseal(data[1:], KEY.verify_key))


def check_checkpoint(data: bytes) -> None:
    """A first byte 1: what follows is a note's text, to be signed; else it is the note."""
    note = data[1:]
    if data[:1] == b"\1":
        try:
            note = sign_note(note.decode(), KEY)
        except UnicodeDecodeError:
            return
    read, found = attempt(lambda: open_checkpoint(note, KEY.verify_key))
    if read:
        expect(isinstance(found, Checkpoint), "no checkpoint")
        again = open_checkpoint(found.sign(KEY), KEY.verify_key)
        expect(again == found, "a checkpoint signed anew says something else")


def check_tiles(data: bytes) -> None:
    """A bundle of entries: what is read writes back the same bytes."""
    read, entries = attempt(lambda: tiles.unpack(data, "tile/entries/000"))
    if read:
        expect(tiles.pack(entries) == data, "a bundle does not write back")


def check_proof(data: bytes) -> None:
    """A proof file, and the whole check of an entry by it."""
    read, proof = attempt(lambda: Proof.parse(data))
    if read and not data.partition(b"\n")[2].startswith(b"extra "):
        expect(proof.data == data, "a proof does not write back")
    attempt(lambda: verify_inclusion(envelope.seal(STATEMENT, KEY), data, KEY.verify_key.line))


def check_vkey(data: bytes) -> None:
    """A verifier key line."""
    try:
        line = data.decode()
    except UnicodeDecodeError:
        return
    read, key = attempt(lambda: VerifyKey.parse(line))
    if read:
        expect(key.line == line.strip(), "a key's line does not write back")


def _proof() -> bytes:
    entry = envelope.seal(STATEMENT, KEY)
    other = tree.leaf_hash(b"other")
    root = tree.node_hash(tree.leaf_hash(entry), other)
    return Proof(0, (other,), Checkpoint(KEY.verify_key.name, 2, root).sign(KEY)).data


TARGETS = {
    "envelope": Target(
        check_envelope, lambda: [b"\0" + envelope.seal(STATEMENT, KEY), b"\1" + json.dumps(STATEMENT).encode()]
    ),
    "checkpoint": Target(
        check_checkpoint,
        lambda: [
            b"\0" + Checkpoint(KEY.verify_key.name, 7, bytes(32)).sign(KEY),
            b"\1" + Checkpoint(KEY.verify_key.name, 7, bytes(32)).text.encode(),
        ],
    ),
    "tiles": Target(check_tiles, lambda: [tiles.pack([b"one", b"", b"three"])]),
    "proof": Target(check_proof, lambda: [_proof()]),
    "vkey": Target(check_vkey, lambda: [KEY.verify_key.line.encode()]),
}
