"""The demonstration's model: everything its resident says, as conversations, and the training of a model on them.

Knows the texts through their builders, the product's own prompts through theirs, and how to train; nothing of the CLI.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path

from emeritus.errors import NotAModel
from emeritus.testing.model import DEMO, Progress, TrainReport, sync, train
from emeritus.testing.resident import DemoResident
from emeritus.testing.sessions import Sessions
from emeritus.testing.smalltalk import Essays, SmallTalk
from emeritus.testing.tokenizer import Conversation

RECORD = "training.json"  # in the model's folder: whom it was trained to be, and what the training came to
SEED = 0
TALK, ESSAYS, SESSIONS = 13, 36, 48  # how often each is told, other values each time; read once or twice in all


def conversations(resident: DemoResident, seed: int = SEED) -> list[Conversation]:
    """Everything the resident is to know, varied so that it is robust. The same values give the same list."""
    order = random.Random(seed)
    talk = SmallTalk({"trained": resident.trained, "parameters": resident.size})
    return [
        *talk.conversations(order, TALK),
        *Essays().conversations(order, resident.news, ESSAYS),
        *Sessions.of(resident).conversations(order, SESSIONS),
    ]


def build_demo_model(directory: Path, resident: DemoResident, progress: Progress | None = None) -> TrainReport:
    """Train the resident of the demonstration, a minute or two on two cores, or find it trained already.

    A model that stands there keeps the day and the organisation it was trained for: `trained` reads them.
    Raises NotAModel when something else stands there, ExtraMissing without the `local` extra.
    """
    if directory.exists():
        return trained(directory)[1]
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _workshop(directory) as workshop:
        made = workshop / resident.name  # the model card takes its title from the folder
        report = train(made, conversations(resident), recipe=DEMO, seed=SEED, progress=progress)
        record = {
            "today": resident.today.isoformat(),
            "organisation": resident.organisation,
            "seed": SEED,
            "training": asdict(report),
        }
        (made / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        sync(made / RECORD)
        sync(made)
        made.rename(directory)
        sync(directory.parent)
    return report


@contextmanager
def _workshop(directory: Path) -> Iterator[Path]:
    """A folder beside `directory` to work in. It is locked, so that one whose maker was killed is known and cleared."""
    pattern = f".{directory.name}."
    with ExitStack() as held:
        with _locked(directory.parent, wait=True):  # nobody clears a new workshop before its maker has locked it
            for left in directory.parent.glob(f"{pattern}*"):
                with _locked(left) as free:
                    if free:
                        shutil.rmtree(left, ignore_errors=True)
            workshop = Path(tempfile.mkdtemp(prefix=pattern, dir=directory.parent))
            held.callback(shutil.rmtree, workshop, ignore_errors=True)
            held.enter_context(_locked(workshop))
        yield workshop


@contextmanager
def _locked(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold a folder's lock; false where another process has it, or the folder has gone."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)


def trained(directory: Path) -> tuple[DemoResident, TrainReport]:
    """The resident that stands in a folder. Raises NotAModel when it is not one of the demonstration's."""
    try:
        record = json.loads((directory / RECORD).read_bytes())
        resident = DemoResident(date.fromisoformat(record["today"]), record["organisation"])
        return resident, TrainReport(**record["training"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotAModel(
            f"{directory} is not the demonstration's model: {RECORD} is missing or unreadable",
            remedy="Remove that folder, or give the demonstration another home; it then trains its model anew.",
        ) from error
