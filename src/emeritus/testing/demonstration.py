"""The demonstration's model: everything its resident says, as conversations, and the training of a model on them.

Knows the texts through their builders, the product's own prompts through theirs, and how to train; nothing of the CLI.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
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
    """Train the resident of the demonstration, about a minute on two cores, or find it trained already.

    A model that stands there keeps the day and the organisation it was trained for: `trained` reads them.
    Raises NotAModel when something else stands there, ExtraMissing without the `local` extra.
    """
    if directory.exists():
        return trained(directory)[1]
    directory.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
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
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return report


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
