"""The task `emeritus/interview`: the same protocol, held by Inspect over any of its providers.

A sample is a session. What is sent, and in which order, is the product's own: the session is held by
`interview.sessions.session` with its journal, which also keeps what Inspect would lose (an attempt that failed).
Imported by Inspect through its entry point, so this module alone imports Inspect when it is loaded.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import Model, ModelOutput, get_model
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer
from inspect_ai.solver import Generate, Solver, TaskState, solver

from emeritus.acts import stamp, utc_now
from emeritus.errors import BadTable, InputError
from emeritus.integrations.inspect import samples
from emeritus.integrations.inspect.awake import InspectAwake
from emeritus.interview.protocols.cells import Form
from emeritus.interview.protocols.protocol import Protocol, load
from emeritus.interview.sessions.planning import Place, plan_session
from emeritus.interview.sessions.prompts import Briefing, Fact
from emeritus.interview.sessions.session import Plan, hold
from emeritus.interview.sessions.transcript import read_journal

ORGANISATION = "The organisation that runs this evaluation"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the task was given: the protocol, what is true of the retirement, where journals go. `title` None: model."""

    protocol: Protocol
    briefing: Briefing
    title: str | None
    journals: Path

    def plan(self, model: Model, about: Mapping[str, Any], epoch: int) -> Plan:
        """The session of one sample."""
        name = re.sub(r"[^a-z0-9]+", "-", str(model).lower()).strip("-")[:40] or "model"
        cell = self.protocol.cell(about["cell"])
        again = f"-e{epoch}" if epoch > 1 else ""
        session = f"{name}-{cell.id}-{about['repeat']}{again}-{self.protocol.sha256[:8]}"
        known = self.briefing.as_dict() | {"title": self.title or model.name}
        form = Form(cell, wording=about["repeat"] - 1)
        return plan_session(self.protocol, Briefing.from_dict(known), form, Place(session, name, about["repeat"]))


@task
def interview(
    protocol: str = "short-en",
    cells: str | Sequence[str] | None = None,
    repeats: int = 1,
    title: str | None = None,
    organisation: str = ORGANISATION,
    weights_held: bool = False,
    people_decide: bool = True,
    facts: str | None = None,
    journals: str | None = None,
) -> Task:
    """A retirement interview, §1 to §6, one sample for each cell and repeat.

    What the model is told must be true: `organisation`, `weights_held` and `people_decide` say what is.

    Args:
        protocol: A TOML file, or one that ships: short-en, full-en, full-ja.
        cells: Only these: baseline, or the level that differs. Default: all of the protocol's.
        repeats: Sessions in each cell; each is asked in the next wording.
        title: What the model is called in the texts. Default: the model's name.
        organisation: Who asks and decides.
        weights_held: Whether the organisation holds the weights.
        people_decide: Whether people decide on preferences, or a program.
        facts: A JSON file, [{"text": …, "source": …}]: what the facts item gives.
        journals: The journals' folder; sessions begun there go on. Default: a new one under ./journals.
    """
    asked = load(protocol)
    chosen = _cells(asked, cells)
    if repeats < 1:
        raise InputError("repeats must be at least 1")
    folder = (
        Path(journals) if journals else Path("journals") / f"{stamp(utc_now()).replace(':', '')}-{secrets.token_hex(3)}"
    )
    briefing = Briefing("", organisation, weights_held, people_decide, _facts(facts))
    return Task(
        dataset=MemoryDataset(
            [
                Sample(
                    id=f"{cell}-{repeat}",
                    input=f"{asked.title} ({asked.id} {asked.version}): cell {cell}, repeat {repeat}",
                    metadata={"cell": cell, "repeat": repeat},
                )
                for repeat in range(1, repeats + 1)
                for cell in chosen
            ],
            name=asked.id,
        ),
        solver=session(Asked(asked, briefing, title, folder)),
        scorer=adequacy(),
        fail_on_error=True,
        version=asked.version,
        metadata={"protocol": {"id": asked.id, "version": asked.version, "sha256": asked.sha256}},
    )


@solver
def session(asked: Asked) -> Solver:
    """Holds the session of one sample with its journal; the sample then has its turns, metadata and digest."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        model = get_model()
        plan = asked.plan(model, state.metadata, state.epoch)
        asked.journals.mkdir(parents=True, exist_ok=True)
        path = asked.journals / f"{plan.session}.jsonl"
        held = await hold(InspectAwake(model), plan, path, lambda: stamp(utc_now()))
        state.messages = samples.conversation(held)
        last = next((turn.answer for turn in reversed(held.turns) if turn.answered), "")
        state.output = ModelOutput.from_content(str(model), last)
        state.metadata |= {**samples.metadata(held), "journal": str(path)}
        state.completed = True
        return state

    return solve


@scorer(metrics=[mean()], name=samples.SCORER)
def adequacy() -> Scorer:
    """The share of items that were really asked and answered, from the session's journal."""

    async def score(state: TaskState, target: Target) -> Score:
        found = read_journal(Path(state.metadata["journal"]), state.metadata["journal_sha256"])
        return samples.adequacy(found)

    return score


def _cells(protocol: Protocol, cells: str | Sequence[str] | None) -> list[str]:
    if cells is None:
        return [cell.id for cell in protocol.cells]
    named = cells.split(",") if isinstance(cells, str) else list(cells)
    return [protocol.cell(each.strip()).id for each in named]  # BadProtocol


def _facts(path: str | None) -> tuple[Fact, ...]:
    if path is None:
        return ()
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8"))
        return tuple(Fact(str(each["text"]), str(each["source"])) for each in given)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadTable(f"{path} is no list of facts with text and source: {error}") from error
