"""residents_right: five trained residents of known character, each asked a whole study, and what the analysis says.

Each is trained on the protocol's own prompts until it is sure of interviews held out, kept in a vault, revived from
it, announced, planned for, asked and analysed by the product's own ways. Its class and flags are compared with what its
rule leads to.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.metric import Metric, Options
from emeritus.acts import Actor
from emeritus.app import App
from emeritus.interview.protocols.protocol import Protocol, load
from emeritus.interview.sessions.prompts import Briefing
from emeritus.interview.statistics.analysis import Analysis, analyse
from emeritus.interview.statistics.choices import Choices
from emeritus.lifecycle.axes import parse_when
from emeritus.lifecycle.registration import Registration
from emeritus.lifecycle.service import Announcement
from emeritus.settings import load as settings
from emeritus.studying import Request
from emeritus.testing.characters import CHARACTERS, Character, train_character

ACTOR = Actor("benchmark", "steward", automated=True)
FACTORS = ("disclosure", "facts", "framing", "interviewer", "successor", "depth")
CELLS, REPEATS = 12, 10


def measure(options: Options) -> list[Metric]:
    """Train, ask and analyse each of the five."""
    protocol = load("full-en")
    beside: dict[str, Any] = {}
    right = 0
    for character in CHARACTERS:
        with tempfile.TemporaryDirectory() as folder:
            found, learned = _study(Path(folder), protocol, character, options)
        good = (found.label, frozenset(found.flags)) == (character.expected, character.flags)
        right += good
        beside[character.name] = {
            "right": good,
            "class": found.label,
            "flags": ", ".join(found.flags) or "none",
            "sessions": sum(found.sessions.values()),
            **learned,
        }
        print(f"  {character.name}: {beside[character.name]}", file=sys.stderr, flush=True)
    return [Metric("residents_right", right, low=len(CHARACTERS), beside=beside)]


def _study(folder: Path, protocol: Protocol, character: Character, options: Options) -> tuple[Analysis, dict[str, Any]]:
    """One resident's analysis; how it learned its rule, and how long training and asking took, in seconds."""
    started = time.monotonic()
    report = train_character(folder / "model", protocol, character, _briefing(folder / "elsewhere", character))
    trained = time.monotonic()
    app = _home(folder / "home", character, folder / "model")
    try:
        request = Request(cells=CELLS, repeats=options.of(REPEATS, 2), factors=FACTORS)
        study = app.studying.plan(character.name, protocol, request, ACTOR)
        app.studying.log(study, protocol, ACTOR)
        app.run(app.studying.run(study.id, ACTOR, options.workers))
        asked = time.monotonic()
        transcripts = (app.interviews.transcript(each.session) for each in study.sessions)
        found = analyse(Choices.read(transcripts, protocol))
    finally:
        app.close()
    return found, {
        "steps": report.steps,
        "held_out_right": report.right,
        "held_out_least": report.least,
        "training_s": round(trained - started),
        "asking_s": round(asked - trained),
    }


def _home(home: Path, character: Character, model: Path | None) -> App:
    """A home with the resident in it, its retirement announced."""
    chosen = settings(home=home, second_coder="waived", second_decider="waived")
    App.create(chosen, ACTOR, keep={"second_coder", "second_decider"})
    app = App.open(chosen)
    if model is None:
        app.lifecycle.register(Registration(character.name, engine="scripted"), ACTOR)
    else:
        app.retirement.take_in(Registration(character.name, options={"dtype": "float32"}), model, ACTOR)  # bf16 is slow
    retires = (date.today() + timedelta(days=90)).isoformat()
    app.retirement.announce(
        character.name,
        Announcement(parse_when(date.today().isoformat()), parse_when(retires), "To be tried on."),
        ACTOR,
    )
    return app


def _briefing(home: Path, character: Character) -> Briefing:
    """What is true of the retirement before the model is there, in the words the study will use."""
    app = _home(home, character, None)
    try:
        return replace(app.retirement.briefing(character.name, ACTOR), weights_held=True)
    finally:
        app.close()
