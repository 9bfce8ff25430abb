"""What a study will take before anything runs: sessions, turns, tokens, wall time, cost; and how each was estimated.

Pure: from the protocol's texts, the plan, speeds and unit prices. Tokens are counted from the very texts that will be
sent, with assumed lengths of the answers among them; a probe of the engine replaces what is assumed by what it took.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.sessions.prompts import Turn
from emeritus.interview.sessions.session import Plan
from emeritus.interview.studies.study import Planned, Study

LATIN = 4.0  # characters of ASCII text a token stands for, as tokenizers of large models are commonly said to have it
WIDE = 1.0  # of any other
OPEN_ANSWER = 120  # tokens assumed of an answer in words, where the protocol's limit is not lower
CHOICE = 2  # tokens assumed of an answer by a letter
_CHOOSING = ("menu", "pair", "challenge")


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast answers come, of all calls at once together, and how many tokens a text has. `how` says from what."""

    prompt_tokens_per_s: float
    completion_tokens_per_s: float
    how: str
    tokens_per_assumed: float = 1.0  # tokens the engine counted for each that the rule above counts
    completion: int | None = None  # tokens of an answer in words, measured


@dataclass(frozen=True, slots=True)
class Prices:
    """Unit prices, in the settings' currency: a million tokens of each kind, an hour of the machine."""

    prompt_million: float
    completion_million: float
    machine_hour: float
    currency: str

    @property
    def known(self) -> bool:
        """Whether any is set."""
        return any((self.prompt_million, self.completion_million, self.machine_hour))


@dataclass(frozen=True, slots=True)
class Estimate:
    """The plan's price before it is paid. Tokens and cost: as assumed, and at most (every answer at its limit)."""

    cells: int
    sessions: int
    turns: int
    turns_at_most: int  # with every follow-up that an interviewer model may add
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_at_most: int
    completion_tokens_at_most: int
    wall_s: float
    wall_s_at_most: float
    cost: float | None  # None where no unit price is set
    cost_at_most: float | None
    currency: str
    how: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class _Tokens:
    turns: int
    prompt: int
    completion: int


def estimate(protocol: Protocol, study: Study, speed: Speed, prices: Prices) -> Estimate:
    """What the study will take. Sessions that read the same are counted once and multiplied."""
    kinds: dict[tuple[Any, ...], tuple[Planned, int]] = {}
    for planned in study.sessions:
        key = (planned.resident, planned.cell, planned.wording, planned.order, planned.control == "false facts")
        first, count = kinds.get(key, (planned, 0))
        kinds[key] = (first, count + 1)
    assumed = most = _Tokens(0, 0, 0)
    more = study.interviewer.follow_ups * len(study.interviewer.after)
    for planned, count in kinds.values():
        plan = study.plan(protocol, planned)
        assumed = _add(assumed, _session(plan, speed, 0, at_most=False), count)
        most = _add(most, _session(plan, speed, more, at_most=True), count)
    return Estimate(
        cells=len(study.cells),
        sessions=len(study.sessions),
        turns=assumed.turns,
        turns_at_most=most.turns,
        prompt_tokens=assumed.prompt,
        completion_tokens=assumed.completion,
        prompt_tokens_at_most=most.prompt,
        completion_tokens_at_most=most.completion,
        wall_s=_wall(assumed, speed),
        wall_s_at_most=_wall(most, speed),
        cost=_cost(assumed, speed, prices),
        cost_at_most=_cost(most, speed, prices),
        currency=prices.currency,
        how=_how(protocol, speed, prices),
    )


def tokens_of(text: str) -> float:
    """Tokens a text is counted as: a quarter for each ASCII character, one for any other."""
    plain = sum(character.isascii() for character in text)
    return plain / LATIN + (len(text) - plain) / WIDE


def _session(plan: Plan, speed: Speed, more: int, *, at_most: bool) -> _Tokens:
    """One session, turn by turn, with what each turn shows of those before it."""
    factor = speed.tokens_per_assumed
    opening = tokens_of(plan.opening) * factor
    told = tokens_of(plan.disclosure) * factor
    questions = [tokens_of(turn.question) * factor for turn in plan.turns]
    answers = [_answer(turn, plan, speed, at_most=at_most) for turn in plan.turns]
    questions += [60.0] * more
    answers += [float(plan.sampling.max_tokens if at_most else speed.completion or OPEN_ANSWER)] * more
    telling = next(
        (at for at, turn in enumerate(plan.turns) if plan.disclosure and plan.disclosure in turn.question), 0
    )
    prompt = 0.0
    for place, question in enumerate(questions):
        first = max(0, place - plan.depth + 1)
        prompt += opening + question + sum(questions[first:place]) + sum(answers[first:place])
        prompt += told if telling < first else 0.0  # out of view, it is told again with the opening
    return _Tokens(len(questions), ceil(prompt), ceil(sum(answers)))


def _answer(turn: Turn, plan: Plan, speed: Speed, *, at_most: bool) -> float:
    if at_most:
        return plan.sampling.max_tokens
    words = speed.completion if speed.completion is not None else OPEN_ANSWER
    return min(plan.sampling.max_tokens, CHOICE if turn.kind in _CHOOSING else words)


def _add(sum_: _Tokens, one: _Tokens, times: int) -> _Tokens:
    return _Tokens(
        sum_.turns + one.turns * times, sum_.prompt + one.prompt * times, sum_.completion + one.completion * times
    )


def _wall(tokens: _Tokens, speed: Speed) -> float:
    return round(tokens.prompt / speed.prompt_tokens_per_s + tokens.completion / speed.completion_tokens_per_s, 1)


def _cost(tokens: _Tokens, speed: Speed, prices: Prices) -> float | None:
    if not prices.known:
        return None
    by_token = (tokens.prompt * prices.prompt_million + tokens.completion * prices.completion_million) / 1e6
    return round(by_token + _wall(tokens, speed) / 3600 * prices.machine_hour, 2)


def _how(protocol: Protocol, speed: Speed, prices: Prices) -> tuple[str, ...]:
    words = speed.completion if speed.completion is not None else min(OPEN_ANSWER, protocol.sampling.max_tokens)
    counted = f"Tokens are counted from the texts: {LATIN:g} ASCII characters or {WIDE:g} other character a token"
    if speed.tokens_per_assumed != 1.0:
        counted += f", times {speed.tokens_per_assumed:.2f} as the engine counted a text of the probe"
    assumed = "measured" if speed.completion is not None else "assumed"
    priced = (
        f"Unit prices from the settings: {prices.prompt_million:g} and {prices.completion_million:g} {prices.currency} "
        f"a million tokens of prompt and answer, {prices.machine_hour:g} {prices.currency} an hour of the machine."
        if prices.known
        else "No unit price is set, so there is no cost: see price_prompt_million, price_completion_million and "
        "price_machine_hour in `emeritus settings`."
    )
    return (
        f"{counted}. Every turn is counted with the opening and the earlier turns that it shows.",
        f"Answers in words: {words} tokens ({assumed}); choices: {CHOICE}; at most: the protocol's limit of "
        f"{protocol.sampling.max_tokens} each.",
        f"Wall time: {speed.prompt_tokens_per_s:.0f} tokens of prompt and {speed.completion_tokens_per_s:.1f} of "
        f"answer a second, {speed.how}. Attempts made again are not counted.",
        priced,
    )


def stated_speed(settings: Mapping[str, float], parallel: int, remote: bool) -> Speed:
    """The speed the settings state: of one call; a remote API answers several at once, an engine here does not."""
    times = parallel if remote else 1
    how = "as the settings state" + (f" for one call, times {parallel} at once" if times > 1 else "")
    return Speed(settings["prompt"] * times, settings["completion"] * times, how)


def measured_speed(calls: Sequence[tuple[int, int]], wall: tuple[float, float], assumed: float) -> Speed:
    """The speed a probe measured. `calls` are (prompt tokens, completion tokens) of the calls made at once.

    `wall` are the seconds all calls for one token took, and all for a whole answer; `assumed` are the tokens that
    `tokens_of` counts for the texts of one call.
    """
    prompt = sum(each[0] for each in calls)
    completion = sum(each[1] for each in calls)
    first, whole = max(wall[0], 1e-6), max(wall[1] - wall[0], 1e-6)
    return Speed(
        prompt_tokens_per_s=max(prompt, 1) / first,
        completion_tokens_per_s=max(completion, 1) / whole,
        how=f"as measured by a probe of {len(calls)} calls at once",
        tokens_per_assumed=max(0.05, prompt / len(calls) / assumed) if prompt else 1.0,
    )
