"""A resident of a home or of a bare vault, for other programs: its tensors, and a folder of its other files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emeritus.blobs.open import open_store
from emeritus.errors import DestinationNotEmpty, NotFound
from emeritus.preservation.secret import vault_secret
from emeritus.preservation.sources import light, write_light
from emeritus.settings import FILE_NAME, load
from emeritus.vault.reading.opened import OpenResident
from emeritus.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of one resident, in a vault that was opened for them."""

    vault: Vault
    name: str

    def tensors(self) -> OpenResident:
        """What model libraries load. Raises NotFound for weights in another format than safetensors, IntegrityError."""
        return self.vault.open(self.name).checkpoint()

    def write_light(self, folder: Path) -> None:
        """Everything but the weights, into a folder that is absent or empty. Raises DestinationNotEmpty."""
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise DestinationNotEmpty(f"{folder} exists and is not an empty folder")
        write_light(self.vault, self.name, folder, light(self.vault.manifest(self.name).files))


def weights(where: str | Path, name: str) -> Weights:
    """The weights of `name`, in a home's folder or at a vault's address (a folder, s3://, gs://, az://).

    What opens an encrypted vault is found as everywhere: in the home's settings and in the environment. Raises NotFound
    where there is no vault, or no such resident in it; VaultLocked.
    """
    address = str(where)
    settings = load()
    if "://" not in address and (Path(address).expanduser() / FILE_NAME).is_file():
        settings = load(home=Path(address))
        address = settings.vault_url or str(settings.home / "vault")
    vault = Vault.at(open_store(address), secret=lambda: vault_secret(settings))
    if vault.manifest(name).weights_digest is None:
        raise NotFound(f"the vault holds no weights of {name!r}", name=name)
    return Weights(vault, name)
