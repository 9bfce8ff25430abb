"""Secrets for encrypted vaults, a vault opened with one, and the decoder that travels along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from emeritus.blobs.local import LocalStore
from emeritus.vault.keys.cipher import Secret
from emeritus.vault.vault import Vault

RIGHT, OTHER = Secret.passphrase(b"correct horse\n"), Secret.passphrase(b"battery staple")
FILE = Secret.key_file(bytes(range(32, 64)))
BARE = """
import sys, runpy
for name in ("numpy", "blake3", "emeritus", *sys.argv[1].split()):
    sys.modules[name] = None  # importing it fails
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def opened(store: LocalStore, secret: Secret | None) -> Vault:
    """The vault with that secret at hand."""
    return Vault.at(store, secret=lambda: secret)


def standalone(vault: Path, name: str, dest: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """The vault's own decoder, NumPy and Emeritus out of reach."""
    without = env.pop("without", "")
    command = [sys.executable, "-I", "-c", BARE, without, str(vault / "restore.py"), name, str(dest)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=env)
