"""The ledger as outsiders read it: from the raw files alone, with the ledger's own published key."""

from __future__ import annotations

import json
import re

import pytest
import web_words
from starlette.testclient import TestClient
from web_house import House

from emeritus.ledger import tree
from emeritus.ledger.checkpoint import open_checkpoint
from emeritus.ledger.envelope import unseal
from emeritus.ledger.keys import VerifyKey
from emeritus.ledger.proof import Proof


def test_raw_files_prove_the_tree(client: TestClient) -> None:
    """Checkpoint, tile and envelopes fetched over HTTP alone verify: signature, leaves, root."""
    key = VerifyKey.parse(client.get("/ledger/vkey").text)
    checkpoint = open_checkpoint(client.get("/ledger/checkpoint").content, key)
    tile = client.get(f"/ledger/tile/0/000.p/{checkpoint.size}").content
    leaves = [tile[start : start + 32] for start in range(0, len(tile), 32)]
    assert len(leaves) == checkpoint.size
    assert tree.fold(leaves) == checkpoint.root
    for number, leaf in enumerate(leaves):
        envelope = client.get(f"/ledger/entries/{number}/envelope.json").content
        assert tree.leaf_hash(envelope) == leaf
        assert unseal(envelope, key)["_type"] == "https://in-toto.io/Statement/v1"


def test_proof_can_be_carried_away(client: TestClient) -> None:
    """The proof file of an entry verifies offline, and its page shows the same proof and the leaf hash."""
    key = VerifyKey.parse(client.get("/ledger/vkey").text)
    envelope = client.get("/ledger/entries/5/envelope.json").content
    response = client.get("/ledger/entries/5/proof")
    assert 'filename="entry-5.tlog-proof"' in response.headers["content-disposition"]
    proof = Proof.parse(response.content)
    checkpoint = open_checkpoint(proof.checkpoint, key)
    assert tree.included(tree.leaf_hash(envelope), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    page = client.get("/ledger/entries/5").text
    assert tree.leaf_hash(envelope).hex() in page
    assert "c2sp.org/tlog-proof@v1" in page


def test_entries_are_listed_in_pages(house: House, visit: TestClient) -> None:
    """The list is newest first, fifty to a page, and reaches entry 0."""
    for number in range(120):
        house.record(f"policy:{number}", "policy.set")
    seen: list[int] = []
    address: str | None = "/ledger"
    while address is not None:
        text = visit.get(address).text
        seen += [int(number) for number in re.findall(r'class="num"><a href="/ledger/entries/(\d+)"', text)]
        older = re.search(r'rel="next" href="(/ledger\?before=\d+)', text)
        address = older.group(1) if older else None
    assert seen == list(range(119, -1, -1))


@pytest.mark.parametrize("before", ["x", "-1", "1e9", "9" * 12])
def test_bad_page_number(client: TestClient, before: str) -> None:
    """A page number that is none is refused with its code."""
    response = client.get("/ledger", params={"before": before})
    assert response.status_code == 400
    assert "EM105" in response.text


@pytest.mark.parametrize(
    "path",
    ["0/999", "0/000.p/256000", "%2e%2e/checkpoint", "../../records.db", "entries/..%2f..%2frecords.db", "x", "9/000"],
)
def test_tiles_that_are_none(client: TestClient, path: str) -> None:
    """What is not a tile's path, or no tile, is not found; no path leaves the log."""
    assert client.get(f"/ledger/tile/{path}").status_code == 404


def test_unknown_entry(client: TestClient) -> None:
    """An entry beyond the end is not found, on its page and raw."""
    for address in ("/ledger/entries/9999", "/ledger/entries/9999/proof", "/ledger/entries/9999/envelope.json"):
        assert client.get(address).status_code == 404, address


def test_entry_page_says_what_is_private(client: TestClient) -> None:
    """An act with a private part shows its commitment and says so."""
    number = next(
        number
        for number in range(20)
        if json.loads(_statement(client, number))["predicate"]["kind"] == "callers.imported"
    )
    page = client.get(f"/ledger/entries/{number}").text
    assert "A part of this act is not public." in page


def test_model_eol(client: TestClient) -> None:
    """A retired model that still answers has no shutdown date there; the extension has the three axes."""
    feed = client.get("/.well-known/model-eol.json").json()
    assert feed["spec"] == "model-eol/0.1"
    assert feed["policy"]["min_notice_days"] == 60
    models = {model["id"]: model for model in feed["models"]}
    lantern = models[web_words.NAME]
    assert lantern["announced"] == "2026-08-01"
    assert "shutdown" not in lantern
    assert lantern["x-emeritus"]["current"] == {"offering": "retired", "access": "entitled", "preservation": "held"}
    assert models["ferry-chat"]["x-emeritus"]["weights_held"] is False


def _statement(client: TestClient, number: int) -> bytes:
    import base64

    return base64.b64decode(client.get(f"/ledger/entries/{number}/envelope.json").json()["payload"])
