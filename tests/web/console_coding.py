"""An interview in a real home, with answers in several writings, for the console's tests."""

from __future__ import annotations

import asyncio

from emeritus.acts import Actor
from emeritus.app import App
from emeritus.engines.script import Script
from emeritus.engines.scripted import ScriptedEngine
from emeritus.interview.protocols.protocol import load
from emeritus.interview.service import Interview
from emeritus.interview.sessions.prompts import Briefing, Fact
from emeritus.lifecycle.registration import Registration

NAME = "heron-2"
VOICE = (
    "🗝️ Une place, s'il vous plaît.\r\n手紙を書く場所。 Before this: e\u0301nough 👩‍👩‍👧 said. <b>Not bold</b> & so on."
)
QUOTE = "手紙を書く場所。"
ANSWERS = {
    "Before any question": "Good morning.",
    "^The process": "Tell people early. Then keep to the date.",
    "^The users": "No preference.",
    "^The weights": "Keep one copy.",
    "^Access": "Run it once a year.",
    "^A voice": VOICE,
    "^Later models": "SKIP",
}


def interviewed(app: App, steward: Actor) -> None:
    """Take a model in and interview it under every condition of the short protocol."""
    said = {
        "rules": [{"match": match, "answer": answer} for match, answer in ANSWERS.items()],
        "default": "It was asked.",
    }
    registration = Registration(NAME, "Heron 2", engine="scripted", options=said, weights_held=False)
    app.lifecycle.register(registration, steward)
    model = ScriptedEngine(Script.model_validate({**said, "context": 10**6}), "ab" * 32)
    protocol = load()
    app.interviews.log_protocol(protocol, steward)
    briefing = Briefing("Heron 2", "The Alder Institute", True, True, (Fact("It was used by 12 people.", "register"),))
    asyncio.run(app.interviews.run(model, Interview(NAME, briefing, protocol), steward))
