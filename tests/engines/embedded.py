"""An embedded engine as tests open it, and what they ask."""

from pathlib import Path
from typing import Any

from tiny_models import FolderSource

from emeritus.engines.base import Message
from emeritus.engines.open import open_engine

ASK = [Message("system", "Be brief."), Message("user", "Why?")]


async def opened(source: FolderSource, tmp_path: Path, **options: Any) -> Any:
    """An embedded engine on one thread; `Any`, because tests look at its worker's pid."""
    return await open_engine("transformers", options, source, log_dir=tmp_path / "logs", threads=1)
