"""Keys, notes, checkpoints and envelopes: known vectors hold, every altered byte is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from emeritus.errors import AlreadyExists, BadName, LedgerBroken, SigningKeyUnusable
from emeritus.ledger import envelope
from emeritus.ledger.checkpoint import Checkpoint, open_checkpoint, open_note
from emeritus.ledger.keys import SigningKey, VerifyKey
from emeritus.ledger.tree import EMPTY_ROOT

# The example of golang.org/x/mod/sumdb/note, where the signed-note format comes from.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""


@pytest.fixture(scope="module")
def key() -> SigningKey:
    """A key."""
    return SigningKey.generate("test.example/ledger")


def test_a_note_of_the_reference_implementation_opens() -> None:
    """Verifier key and note of Go's package are understood, and the key line is written the same way."""
    peter = VerifyKey.parse(PETER)
    assert peter.line == PETER
    assert open_note(NOTE.encode(), peter).endswith("problem is.\n")


def test_a_checkpoint_comes_back_and_keeps_its_form(key: SigningKey) -> None:
    """The three lines of tlog-checkpoint, a blank line, one signature line."""
    checkpoint = Checkpoint("test.example/ledger", 0, EMPTY_ROOT)
    note = checkpoint.sign(key)
    lines = note.decode().split("\n")
    assert lines[:4] == ["test.example/ledger", "0", base64.b64encode(EMPTY_ROOT).decode(), ""]
    assert lines[4].startswith("— test.example/ledger ")
    assert lines[5:] == [""]
    assert open_checkpoint(note, key.verify_key) == checkpoint


def test_lines_of_witnesses_are_let_be(key: SigningKey) -> None:
    """Signature lines of other keys before or after ours do not disturb, and do not suffice."""
    note = Checkpoint("test.example/ledger", 7, bytes(32)).sign(key)
    text, ours = note.decode().split("\n\n")
    witness = f"— witness.example {base64.b64encode(bytes(72)).decode()}\n"
    for lines in (witness + ours, ours + witness):
        assert open_checkpoint(f"{text}\n\n{lines}".encode(), key.verify_key).size == 7
    with pytest.raises(LedgerBroken, match="not signed with the key"):
        open_checkpoint(f"{text}\n\n{witness}".encode(), key.verify_key)


def test_no_byte_of_a_checkpoint_or_envelope_can_change(key: SigningKey) -> None:
    """Every byte altered in one bit, and every truncation, is refused."""
    note = Checkpoint("test.example/ledger", 12, bytes(range(32))).sign(key)
    sealed = envelope.seal({"a": "é"}, key)
    for data, read in ((note, open_checkpoint), (sealed, envelope.unseal)):
        read(data, key.verify_key)
        for place in range(len(data)):
            for altered in (data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], data[:place]):
                with pytest.raises(LedgerBroken):
                    read(altered, key.verify_key)


@pytest.mark.parametrize("size", ["-1", "01", "", "1.0", "x", "٣"])
def test_a_size_is_a_plain_number(key: SigningKey, size: str) -> None:
    """Signed or not, a checkpoint whose size is not a decimal number is refused."""
    from emeritus.ledger.checkpoint import sign_note

    note = sign_note(f"test.example/ledger\n{size}\n{base64.b64encode(bytes(32)).decode()}\n", key)
    with pytest.raises(LedgerBroken, match="size"):
        open_checkpoint(note, key.verify_key)


def test_a_checkpoint_of_another_log_is_refused(key: SigningKey) -> None:
    """The origin line must be the key's name, even under a good signature."""
    with pytest.raises(LedgerBroken, match=r"of log 'other\.example'"):
        open_checkpoint(Checkpoint("other.example", 0, EMPTY_ROOT).sign(key), key.verify_key)


def test_pae_is_that_of_the_dsse_specification() -> None:
    """The specification's own example."""
    assert envelope.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_an_envelope_of_another_key_or_type_is_refused(key: SigningKey) -> None:
    """Only an in-toto statement signed by the ledger's key is taken; sealing twice gives the same bytes."""
    sealed = envelope.seal({"b": 1, "a": [None]}, key)
    assert sealed == envelope.seal({"a": [None], "b": 1}, key)
    assert envelope.unseal(sealed, key.verify_key) == {"a": [None], "b": 1}
    with pytest.raises(LedgerBroken, match="not signed with the ledger's key"):
        envelope.unseal(sealed, SigningKey.generate("test.example/ledger").verify_key)
    with pytest.raises(LedgerBroken, match="not an in-toto statement"):
        envelope.unseal(sealed.replace(b"in-toto", b"in-tuto"), key.verify_key)


def test_a_key_file_is_private_durable_and_never_replaced(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask, the same key when loaded, AlreadyExists on a second save, no leftovers."""
    key = SigningKey.generate("test.example/ledger")
    path = tmp_path / "keys" / "ledger.key"
    key.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load(path, "test.example/ledger").verify_key == key.verify_key
    with pytest.raises(AlreadyExists):
        SigningKey.generate("test.example/ledger").save(path)
    assert SigningKey.load(path, "test.example/ledger").verify_key == key.verify_key
    assert [each.name for each in path.parent.iterdir()] == ["ledger.key"]
    assert "PRIVATE" not in repr(key)


def test_unusable_key_files_are_named(tmp_path: Path) -> None:
    """Missing, readable by others, no key, encrypted, or of another algorithm: SigningKeyUnusable with the path."""
    path = tmp_path / "ledger.key"
    other = ec.generate_private_key(ec.SECP256R1())
    encrypted = SigningKey.generate("x")._private.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    cases = [None, b"", b"no key", encrypted, other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())]
    for data in cases:
        if data is not None:
            path.write_bytes(data)
            path.chmod(0o600)
        with pytest.raises(SigningKeyUnusable, match=r"ledger\.key"):
            SigningKey.load(path, "x")
    path.unlink()
    SigningKey.generate("x").save(path)
    path.chmod(0o640)
    with pytest.raises(SigningKeyUnusable, match="other accounts"):
        SigningKey.load(path, "x")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "x" * 201])
def test_a_name_that_breaks_the_key_line_is_refused(name: str) -> None:
    """Spaces, '+' and line ends would make another key line."""
    with pytest.raises(BadName):
        SigningKey.generate(name)


@pytest.mark.parametrize(
    "line", ["", "a", "a+b+c", PETER.replace("c74f", "c74e"), PETER.replace("+AR", "+BR"), PETER[:-4]]
)
def test_a_broken_key_line_is_refused(line: str) -> None:
    """Not a line, a wrong hash, another algorithm, a short key."""
    with pytest.raises(LedgerBroken):
        VerifyKey.parse(line)
