"""Model files of other formats than safetensors; what stands around a bag's payload."""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
import zipfile

from emeritus.vault.exchange import bagit
from fuzz.target import Target, attempt
from fuzz.vault_targets import check_format, folder

CONTENT = b"content"
SUM = hashlib.sha256(CONTENT).hexdigest()


def check_gguf(data: bytes) -> None:
    """A first byte 1: what follows the magic and the version; else the file."""
    check_format("x.gguf", b"GGUF\3\0\0\0" + data[1:] if data[:1] == b"\1" else data[1:])


def check_checkpoint(data: bytes) -> None:
    """A first byte 1: a pickle, put into a zip beside a storage; else the file."""
    check_format("x.bin", _zip(data[1:]) if data[:1] == b"\1" else data[1:])


def check_bagit(data: bytes) -> None:
    """A first byte 1: the declaration; 2: the sums of tag files; else the sums of the payload."""
    with folder() as root:
        (root / "data").mkdir()
        (root / "data" / "a").write_bytes(CONTENT)
        texts = {
            "bagit.txt": b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
            "manifest-sha256.txt": f"{SUM}  data/a\n".encode(),
        }
        texts[{b"\1": "bagit.txt", b"\2": "tagmanifest-sha256.txt"}.get(data[:1], "manifest-sha256.txt")] = data[1:]
        for name, text in texts.items():
            (root / name).write_bytes(text)
        attempt(lambda: bagit.read(root))


def _zip(pickled: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("m/data.pkl"), pickled)
        archive.writestr(zipfile.ZipInfo("m/data/0"), bytes(range(64)))
    return out.getvalue()


def _deflated() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("m/data.pkl")
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, pickle.dumps(["text"] * 40))
        archive.writestr(zipfile.ZipInfo("m/data/0"), bytes(64))
    return out.getvalue()


def _gguf() -> bytes:
    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    pairs = text(b"general.alignment") + struct.pack("<II", 4, 32)
    pairs += text(b"tokens") + struct.pack("<IIQ", 9, 8, 2) + text(b"a") + text(b"b")
    infos = text(b"w") + struct.pack("<IQQIQ", 2, 4, 2, 0, 0) + text(b"q") + struct.pack("<IQIQ", 1, 32, 8, 32)
    return struct.pack("<QQ", 2, 2) + pairs + infos + bytes(200)


_PICKLE = (
    b"\x80\x02}q\0X\1\0\0\0aq\1(X\7\0\0\0storageq\2ctorch\nFloatStorage\nq\3X\1\0\0\00q\4X\3\0\0\0cpuq\5K\x10tq\6Q."
)

TARGETS = {
    "gguf": Target(check_gguf, lambda: [b"\1" + _gguf(), b"\0GGUF\3\0\0\0" + _gguf()]),
    "torch": Target(check_checkpoint, lambda: [b"\1" + _PICKLE, b"\0" + _zip(_PICKLE), b"\0" + _deflated()]),
    "bagit": Target(
        check_bagit,
        lambda: [
            b"\0" + f"{SUM}  data/a\n".encode(),
            b"\1BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
            b"\2" + f"{SUM}  data/a\n".encode(),
        ],
    ),
}
