"""DSSE envelopes around in-toto statements (secure-systems-lab/dsse v1.0.2): what one log entry is. Knows no log."""

from __future__ import annotations

import base64
import json
from typing import Any

from emeritus.errors import LedgerBroken
from emeritus.ledger.keys import SigningKey, VerifyKey, decode64

PAYLOAD_TYPE = "application/vnd.in-toto+json"


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def seal(statement: dict[str, Any], key: SigningKey) -> bytes:
    """The signed envelope of a statement. Ed25519 is deterministic: the same statement gives the same bytes."""
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    signature = key.sign(pae(PAYLOAD_TYPE, payload))
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": key.verify_key.id, "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode()


def unseal(envelope: bytes, key: VerifyKey) -> dict[str, Any]:
    """The statement inside, once its signature has been verified. Raises LedgerBroken saying what does not hold."""
    try:
        outer = json.loads(envelope)
        payload = decode64(outer["payload"])
        payload_type = outer["payloadType"]
        signatures = [(each["keyid"], decode64(each["sig"])) for each in outer["signatures"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LedgerBroken("the entry is not a DSSE envelope") from error
    if payload_type != PAYLOAD_TYPE:
        raise LedgerBroken(f"the envelope holds {payload_type!r}, not an in-toto statement")
    ours = [signature for keyid, signature in signatures if keyid == key.id]
    if not ours:
        raise LedgerBroken(f"the envelope is not signed with the ledger's key {key.id}")
    if not any(key.verifies(pae(payload_type, payload), signature) for signature in ours):
        raise LedgerBroken("the envelope's signature does not hold")
    try:
        statement = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise LedgerBroken("the signed payload is not JSON") from error
    if not isinstance(statement, dict):
        raise LedgerBroken("the signed payload is not a JSON object")
    return statement
