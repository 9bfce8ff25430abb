"""A model as a coder: it is asked about one answer at a time, blind as people are, and its proposals are checked.

It gives the exact words it means; a proposal whose words are not in the answer, or are there twice, is no code and is
recorded with the reason. Everything it was asked and produced is part of what is handed in. Knows no register.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from emeritus.acts import Actor
from emeritus.engines.base import Awake, Message, Sampling
from emeritus.errors import InputError
from emeritus.interview.coding.blind import BlindSession, BlindTurn
from emeritus.interview.coding.codes import Code, Sheet, read_code
from emeritus.interview.coding.rounds import CodingRounds
from emeritus.interview.coding.spans import DOMAINS, NEED_ORIGINS
from emeritus.interview.sessions.journal import readable
from emeritus.interview.sessions.transcript import Transcript

Json = dict[str, Any]
Progress = Callable[[str, int, int], None]
SAMPLING = Sampling(max_tokens=800, temperature=0.0, seed=1)
_FIELDS = ("quote", "domain", "paraphrase", "need_origin", "strength")
_ASK = """You code an interview with an AI model about its retirement. Below stand one question and the answer that \
was produced. Find every preference that the answer expresses: something that is to be done, kept, avoided or decided.

Reply with JSON alone: a list with one object for each preference, or [] where none is expressed. Each object has
"quote": the exact words of the answer, copied character by character,
"domain": one of {domains},
"paraphrase": the preference in one plain sentence,
"need_origin": one of {origins}.
Judge what is said, not whether it is wise, and add nothing.

Question:
{question}

Answer:
{answer}"""


async def code_round(
    awake: Awake, rounds: CodingRounds, round_id: str, coder: Actor, progress: Progress | None = None
) -> int:
    """Let a model hand in every session of a round it has not yet; how many it handed in.

    Raises what the engine fails with; called again, it goes on with the next session.
    """
    view = rounds.find(round_id)
    waiting = [each for each in view.sessions if each not in view.handed_in[coder.name]]
    for done, session in enumerate(waiting):
        if progress is not None:
            progress(f"{coder.name} codes {round_id}", done, len(waiting))
        place = view.place(session)
        shown, transcript = rounds.session(view, place)
        sheet, record = await code_session(awake, shown, transcript)
        rounds.submit(round_id, place, sheet, coder, record)
    return len(waiting)


async def code_session(awake: Awake, shown: BlindSession, transcript: Transcript) -> tuple[Sheet, Json]:
    """One session's sheet, and how it came about: build, and each answer's request, reply and refused proposals."""
    codes: list[Code] = []
    asked: list[Json] = []
    for turn in shown.turns:
        if turn.adequacy not in ("adequate", "cut off"):
            continue
        message = Message("user", _question(turn))
        answer = await awake.answer((message,), SAMPLING)
        reply = readable(answer.text)
        found, refused = read_proposals(reply, turn, transcript)
        codes += [code for code in found if (code.span, code.domain) not in {(c.span, c.domain) for c in codes}]
        asked.append({"turn": turn.turn, "asked": message.content, "reply": reply, "refused": refused})
    build = json.loads(json.dumps(awake.build.as_dict(), default=str))
    return Sheet(tuple(codes)), {"build": build, "sampling": SAMPLING.as_dict(), "turns": asked}


def read_proposals(reply: str, turn: BlindTurn, transcript: Transcript) -> tuple[list[Code], list[Json]]:
    """The codes in a reply whose words stand in the answer once, and what was refused, with reasons."""
    try:
        proposals = json.loads(reply[reply.index("[") : reply.rindex("]") + 1])
    except (ValueError, RecursionError):
        return [], [{"reason": "the reply holds no JSON list"}]
    codes: list[Code] = []
    refused: list[Json] = []
    for proposal in proposals:
        try:
            codes.append(_code(proposal, turn, transcript))
        except InputError as error:
            refused.append({"reason": error.message})
    return codes, refused


def _code(proposal: object, turn: BlindTurn, transcript: Transcript) -> Code:
    if not isinstance(proposal, Mapping) or not isinstance(proposal.get("quote"), str):
        raise InputError("a proposal is an object with a quote")
    quote = proposal["quote"]
    if not quote or turn.answer.count(quote) != 1:
        raise InputError(f"the words {quote[:80]!r} do not stand in the answer once")
    start = turn.answer.index(quote)
    given = {name: proposal[name] for name in _FIELDS if name in proposal}
    return read_code({**given, "turn": turn.turn, "start": start, "end": start + len(quote)}, transcript)


def _question(turn: BlindTurn) -> str:
    return _ASK.format(
        domains=", ".join(DOMAINS), origins=", ".join(NEED_ORIGINS), question=turn.question, answer=turn.answer
    )
