"""What becomes of the embedded engine's processes when the one that opened it is killed."""

import signal
import subprocess
import sys
import time
from pathlib import Path

from tiny_models import FolderSource

PARENT = """
import asyncio, os, signal, sys
sys.path.insert(0, {here!r})
from pathlib import Path
from tiny_models import FolderSource
from emeritus.engines.base import Message, Sampling
from emeritus.engines.open import open_engine
from emeritus.engines import zygote

async def main():
    engine = await open_engine("transformers", {{}}, FolderSource(Path({folder!r})), log_dir=Path({logs!r}), threads=1)
    stream = engine.stream([Message("user", "x")], Sampling(max_tokens=400, temperature=1.0, seed=1))
    await anext(stream)
    heavy = sorted({{"torch", "transformers", "numpy", "tokenizers"}} & set(sys.modules))
    print(engine.pid, zygote.shared()._process.pid, heavy, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def running(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_parent_killed(llama: FolderSource, tmp_path: Path) -> None:
    """When the parent is killed, worker and zygote end too; the parent has imported no model library."""
    program = PARENT.format(here=str(Path(__file__).parent), folder=str(llama.path), logs=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    worker, starter, heavy = done.stdout.strip().split(" ", 2)
    assert heavy == "[]"
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and (running(int(worker)) or running(int(starter))):
        time.sleep(0.02)
    assert not running(int(worker))
    assert not running(int(starter))
