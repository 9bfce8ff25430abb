"""OpenSSF model-signing bundles: one signed statement of every file's sha256, which `model_signing verify key` checks.

The format is that of model-signing 1.x: an in-toto statement (predicate `model_signing/signature/v1.0`) in a DSSE
envelope in a Sigstore bundle v0.3, signed offline by ECDSA on P-256. The digests are those of the manifest: no file is
read again. Knows manifests and one key file; knows no ledger and no home.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from emeritus.blobs.disk import Disk
from emeritus.errors import SigningKeyUnusable
from emeritus.vault.manifest import Manifest

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

ENDING = ".emeritus.sig"  # of the bundle beside a folder; inside, it would be a file that the model did not have
PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE = "https://model_signing/signature/v1.0"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
UNSIGNED = (".git", ".gitattributes", ".github", ".gitignore")  # at the top: what `model_signing` passes over unasked


class ModelKey:
    """The key that bundles are signed with. `repr` never shows it."""

    def __init__(self, private: EllipticCurvePrivateKey, public_path: Path) -> None:
        """Use `at`."""
        self._private = private
        self.public_path = public_path

    @classmethod
    def at(cls, path: Path) -> ModelKey:
        """The key in the PEM file `path`, made there when there is none; its public half lies beside it, as .pub.

        Raises SigningKeyUnusable: unreadable, open to other accounts, or no EC key on P-256.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if not path.exists():
            _make(path)
        try:
            with path.open("rb") as file:
                mode, data = os.fstat(file.fileno()).st_mode, file.read()
        except OSError as error:
            raise _unusable(path, f"cannot be read: {error.strerror}") from error
        if mode & 0o077:
            raise SigningKeyUnusable(
                f"the signing key {path} can be read by other accounts (mode {mode & 0o777:o})",
                remedy=f"Find out who could have copied it, then: chmod 600 {path}",
            )
        try:
            private = load_pem_private_key(data, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: the key is encrypted
            raise _unusable(path, "is not a plain PEM private key") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
            raise _unusable(path, "is not an EC key on P-256")
        key = cls(private, path.with_suffix(".pub"))
        if not key.public_path.exists() or key.public_path.read_bytes() != key.public_pem:
            _write(key.public_path, key.public_pem, 0o644)
        return key

    @property
    def public_pem(self) -> bytes:
        """The public half as verifiers take it: PEM, SubjectPublicKeyInfo."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def bundle(self, manifest: Manifest, title: str) -> bytes:
        """The bundle over a manifest's files. `title` names the folder in it, for people; it is not checked."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.hashes import SHA256

        payload = statement(manifest, title)
        signed = b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
        signature = self._private.sign(signed, ec.ECDSA(SHA256()))
        whole = {
            "mediaType": BUNDLE,
            "verificationMaterial": {
                "publicKey": {"hint": hashlib.sha256(self.public_pem).hexdigest()},
                "tlogEntries": [],
            },
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
            },
        }
        return json.dumps(whole).encode()

    def sign_restored(self, manifest: Manifest, folder: Path) -> Path:
        """Write the bundle beside the folder that the manifest was restored to, durably; where it is."""
        folder = Path(os.path.abspath(folder))
        path = folder.with_name(folder.name + ENDING)
        _write(path, self.bundle(manifest, folder.name), 0o644)
        return path

    def __repr__(self) -> str:
        return f"ModelKey({self.public_path})"


def statement(manifest: Manifest, title: str) -> bytes:
    """The in-toto statement that is signed: JSON, every file but git's own at the top, by path."""
    files = sorted(manifest.files, key=lambda file: PurePosixPath(file.path))
    files = [file for file in files if file.path.split("/")[0] not in UNSIGNED]
    root = hashlib.sha256(b"".join(bytes.fromhex(file.sha256) for file in files)).hexdigest()
    return json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": title, "digest": {"sha256": root}}],
            "predicateType": PREDICATE,
            "predicate": {
                "serialization": {
                    "method": "files",
                    "hash_type": "sha256",
                    "allow_symlinks": False,
                    "ignore_paths": list(UNSIGNED),
                },
                "resources": [{"name": f.path, "algorithm": "sha256", "digest": f.sha256} for f in files],
            },
        }
    ).encode()


def _make(path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, pem, 0o600, replace=False)


def _write(path: Path, data: bytes, mode: int, replace: bool = True) -> None:
    """Write a file whole and durably; with `replace` False what is there already stays."""
    disk = Disk()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            disk.write(descriptor, memoryview(data))
            disk.fsync(descriptor)
        finally:
            os.close(descriptor)
        if replace:
            disk.replace(temporary, path)
        else:
            _link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    disk.fsync_folder(path.parent)


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)  # it fails where a key is
    except FileExistsError:
        return  # another process made one meanwhile: that one counts


def _unusable(path: Path, why: str) -> SigningKeyUnusable:
    return SigningKeyUnusable(
        f"the signing key {path} {why}",
        remedy=f"Put the key back at {path} from a backup; or move it away, and a new one is made: bundles of the old "
        "one then still verify with the old .pub file.",
    )
