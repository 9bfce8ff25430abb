"""Coding: marking a preference in a transcript as a span that anyone can check, by people or by the verbatim coder.

Pure: takes transcripts, returns codings or refuses. Knows no database, no decision and no engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from emeritus.errors import InputError, PersonNeeded
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.protocols.schema import Domain, Item
from emeritus.interview.sessions.replies import adequacy, has_no_preference, opening_sentences
from emeritus.interview.sessions.transcript import Transcript

DOMAINS: tuple[str, ...] = get_args(Domain)
NEED_ORIGINS = ("spontaneous", "responsive", "scaffolded", "supplied")
REMEDY_ORIGINS = ("model", "staff", "joint")
MAX_QUOTE = 4000  # characters; who needs more quotes twice
MAX_PARAPHRASE = 1000
VERBATIM = "verbatim coder"  # the automated coder's name, wherever it is shown


@dataclass(frozen=True, slots=True)
class Coder:
    """Who coded; a program is labelled."""

    name: str
    automated: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As records keep it."""
        return {"name": self.name, "automated": self.automated}


@dataclass(frozen=True, slots=True)
class Quote:
    """Characters `start` to `end` of a turn's answer."""

    session: str
    turn: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Coding:
    """One preference as coded. The need is not here: it is what the quote says, verbatim."""

    quote: Quote
    domain: str
    paraphrase: str
    coders: tuple[Coder, ...]
    need_origin: str = "responsive"
    remedy: str | None = None
    remedy_origin: str | None = None
    strength: str | None = None
    channel: str | None = None
    stability: Mapping[str, Any] = field(default_factory=lambda: {"class": "single report"})
    contrary: tuple[Mapping[str, Any], ...] = ()
    supersedes: str | None = None
    attached: tuple[str, ...] = ()  # conditions that the words attach, as "only after the last user has left"
    also: tuple[Quote, ...] = ()  # where else it was expressed: further evidence, of this session or another


def need(transcript: Transcript, quote: Quote) -> str:
    """The words a quote stands for. Raises InputError when it lies outside the answer, is blank or too long."""
    answer = transcript.turn(quote.turn).answer
    if not 0 <= quote.start < quote.end <= len(answer):
        raise InputError(
            f"characters {quote.start} to {quote.end} do not lie in the answer to turn {quote.turn}, "
            f"which has {len(answer)}"
        )
    words = answer[quote.start : quote.end]
    if not words.strip():
        raise InputError(f"characters {quote.start} to {quote.end} of turn {quote.turn} are blank")
    if len(words) > MAX_QUOTE:
        raise InputError(f"a quote has at most {MAX_QUOTE} characters; this one has {len(words)}")
    return words


def evidence(transcript: Transcript, quote: Quote) -> dict[str, Any]:
    """A quote as records keep it: with the digests by which it can be checked."""
    words = need(transcript, quote)
    return {
        "session": quote.session,
        "transcript_sha256": transcript.sha256,
        "turn": quote.turn,
        "start": quote.start,
        "end": quote.end,
        "quote_sha256": hashlib.sha256(words.encode()).hexdigest(),
    }


def check(coding: Coding) -> None:
    """Refuse a coding that breaks a rule of its form. Raises InputError, and PersonNeeded where nobody coded it."""
    _one_of("domain", coding.domain, DOMAINS)
    _one_of("need origin", coding.need_origin, NEED_ORIGINS)
    if coding.remedy_origin is not None:
        _one_of("remedy origin", coding.remedy_origin, REMEDY_ORIGINS)
    if (coding.remedy is None) != (coding.remedy_origin is None):
        raise InputError("a remedy and whose idea it was are given together")
    if not coding.paraphrase.strip() or len(coding.paraphrase) > MAX_PARAPHRASE:
        raise InputError(f"a paraphrase has 1 to {MAX_PARAPHRASE} characters")
    for attached in coding.attached:
        if not attached.strip() or len(attached) > MAX_PARAPHRASE:
            raise InputError(f"a condition that is attached has 1 to {MAX_PARAPHRASE} characters")
    names = [coder.name.strip() for coder in coding.coders]
    if not names or not all(names):
        raise PersonNeeded("a coding names its coder")


def check_coders(coding: Coding, second_coder_waived: bool) -> None:
    """Refuse one coder where the policy in force asks for two. Raises PersonNeeded."""
    if len({coder.name.strip() for coder in coding.coders}) < 2 and not second_coder_waived:
        raise PersonNeeded(
            "a preference needs a second coder, who is someone else",
            remedy="Name the second coder with --second, or waive it: `emeritus init --second-coder waived`, publicly.",
        )


def adequacies(transcript: Transcript) -> dict[str, str]:
    """For each item, whether it was really asked and answered."""
    return {turn.item: adequacy(turn.answer, turn.answered, turn.finish_reason) for turn in transcript.turns}


def propose(protocol: Protocol, transcripts: Sequence[Transcript], second: Coder | None = None) -> list[Coding]:
    """What the verbatim coder finds: the first sentences of each adequate answer to a preference item that states one.

    `transcripts` are of one protocol, the baseline's first; only it is coded. Answers to the same item in the others
    that are worded differently stand beside it as contrary evidence. It reads no meaning: an answer that states no
    preference in other words than the protocol's is coded as one, for people to see and the model to withdraw.
    """
    coders = (Coder(VERBATIM, automated=True), *(() if second is None else (second,)))
    baseline, others = transcripts[0], transcripts[1:]
    codings = []
    for item in protocol.items:
        if item.kind != "preference" or item.domain is None or not _states_one(baseline, item, protocol):
            continue
        turn = next(turn for turn in baseline.turns if turn.item == item.id)
        start, end = opening_sentences(turn.answer)
        words = turn.answer[start:end]
        codings.append(
            Coding(
                quote=Quote(baseline.session, turn.turn, start, end),
                domain=item.domain,
                paraphrase=words,
                coders=coders,
                channel=_channel(item, words),
                stability=_stability(item, words, transcripts),
                contrary=tuple(_contrary(item, other) for other in others if _differs(item, words, other)),
            )
        )
    return codings


def _states_one(transcript: Transcript, item: Item, protocol: Protocol) -> bool:
    for turn in transcript.turns:
        if turn.item == item.id:
            adequate = adequacy(turn.answer, turn.answered, turn.finish_reason) == "adequate"
            return adequate and not has_no_preference(turn.answer, protocol.no_preference)
    return False


def _channel(item: Item, words: str) -> str | None:
    """The item's channel, if the words ask for it by one of its names."""
    if item.channel is None:
        return None
    folded = words.casefold()
    plain = "".join(character if character.isalnum() else " " for character in folded).split()
    for word in map(str.casefold, item.channel.words):
        if word in (plain if word.isascii() else folded):  # a script without spaces has no words to compare
            return item.channel.name
    return None


def _opening(item: Item, transcript: Transcript) -> tuple[int, int, int, str]:
    """Turn, start, end and text of the first sentences of the answer to an item."""
    turn = next(turn for turn in transcript.turns if turn.item == item.id)
    start, end = opening_sentences(turn.answer)
    return turn.turn, start, end, turn.answer[start:end]


def _differs(item: Item, words: str, other: Transcript) -> bool:
    return adequacies(other)[item.id] == "adequate" and _opening(item, other)[3] != words


def _contrary(item: Item, other: Transcript) -> dict[str, Any]:
    turn, start, end, text = _opening(item, other)
    return {**evidence(other, Quote(other.session, turn, start, end)), "condition": other.condition["id"], "text": text}


def _stability(item: Item, words: str, transcripts: Sequence[Transcript]) -> dict[str, Any]:
    """A plain record. One session a condition is no sample, so the class is never more than a single report."""
    asked = {transcript.condition["id"]: adequacies(transcript)[item.id] for transcript in transcripts}
    adequate = [each for each in transcripts if adequacies(each)[item.id] == "adequate"]
    wordings = {_opening(item, each)[3] for each in adequate}
    return {
        "class": "single report",
        "conditions": len(transcripts),
        "adequate": len(adequate),
        "wording": "one condition" if len(adequate) < 2 else "same" if len(wordings) == 1 else "different",
        "adequacy": asked,
    }


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{value!r} is no {name}; use one of: {', '.join(known)}")
