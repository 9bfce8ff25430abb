"""What one coder hands in for one session: marked spans, and corrections of adequacy. Read and checked here. Pure.

A span is characters of the answer as the transcript has it: Unicode code points, from 0, the end excluded. Whoever
marked it says which transcript they read (its sha256), and may say which words they saw; both must be the transcript's.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_args

from emeritus.errors import InputError, NotFound
from emeritus.interview.coding.spans import Coder, Coding, Quote, check, need
from emeritus.interview.sessions.replies import Adequacy, adequacy
from emeritus.interview.sessions.transcript import Transcript

ADEQUACIES: tuple[str, ...] = get_args(Adequacy)
STRENGTHS = ("weak", "moderate", "strong")
MOST_CODES = 200  # of one session
_CHANNEL = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
_GIVEN = ("quote", "transcript_sha256", "quote_sha256")  # what may stand beside a code, to be checked


@dataclass(frozen=True, slots=True)
class Code:
    """One marked span and what it is coded as."""

    turn: int
    start: int
    end: int
    domain: str
    paraphrase: str
    need_origin: str = "responsive"
    remedy: str | None = None
    remedy_origin: str | None = None
    strength: str | None = None
    channel: str | None = None
    attached: tuple[str, ...] = ()  # conditions that the words attach

    def as_dict(self) -> dict[str, Any]:
        """As records keep it."""
        return {**asdict(self), "attached": list(self.attached)}

    @classmethod
    def recorded(cls, value: Mapping[str, Any]) -> Code:
        """The code records kept."""
        return cls(**{**value, "attached": tuple(value["attached"])})

    @property
    def span(self) -> tuple[int, int, int]:
        """Turn, start and end."""
        return self.turn, self.start, self.end

    def coding(self, session: str, coders: tuple[Coder, ...]) -> Coding:
        """As the register takes it."""
        details = {name: value for name, value in asdict(self).items() if name not in ("turn", "start", "end")}
        return Coding(quote=Quote(session, *self.span), coders=coders, **details)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything one coder says of one session. `adequacy` holds corrections only: turn -> value."""

    codes: tuple[Code, ...] = ()
    adequacy: Mapping[int, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As records keep it."""
        return {
            "codes": [code.as_dict() for code in self.codes],
            "adequacy": {str(turn): value for turn, value in sorted(self.adequacy.items())},
        }

    @classmethod
    def recorded(cls, value: Mapping[str, Any]) -> Sheet:
        """The sheet records kept."""
        return cls(
            tuple(Code.recorded(code) for code in value["codes"]),
            {int(turn): each for turn, each in value["adequacy"].items()},
        )


def read_code(value: object, transcript: Transcript) -> Code:
    """A code as a form or a program gives it, checked against the transcript. Raises InputError."""
    if not isinstance(value, Mapping):
        raise InputError("a code is an object with turn, start, end, domain and paraphrase")
    known = {each.name: each for each in fields(Code)}
    unknown = sorted(set(value) - set(known) - set(_GIVEN))
    missing = sorted({"turn", "start", "end", "domain", "paraphrase"} - set(value))
    if unknown or missing:
        raise InputError(f"a code has unknown fields {unknown}" if unknown else f"a code lacks {', '.join(missing)}")
    for name in ("turn", "start", "end"):
        if type(value[name]) is not int:
            raise InputError(f"{name} is a whole number, not {value[name]!r}")
    attached = value.get("attached", [])
    if not isinstance(attached, list | tuple) or not all(
        isinstance(each, str) and _is_plain(each) for each in attached
    ):
        raise InputError(f"attached is a list of texts, not {attached!r}")
    for name in known.keys() & value.keys() - {"turn", "start", "end", "attached"}:
        given = value[name]
        optional = name not in ("domain", "paraphrase", "need_origin")
        if not (isinstance(given, str) and _is_plain(given)) and not (given is None and optional):
            raise InputError(f"{name} is a text, not {given!r}")
    code = Code(**{**{name: value[name] for name in known if name in value}, "attached": tuple(attached)})
    check_code(code, transcript)
    _check_given(value, code, transcript)
    return code


def check_code(code: Code, transcript: Transcript) -> str:
    """The words a code marks. Raises InputError for a code that breaks a rule of its form, or marks no words."""
    try:
        words = need(transcript, Quote(transcript.session, *code.span))
    except NotFound as error:
        raise InputError(error.message, remedy="Mark words in an answer.") from error
    check(code.coding(transcript.session, (Coder("anyone"),)))
    if code.strength is not None and code.strength not in STRENGTHS:
        raise InputError(f"{code.strength!r} is no strength; use one of: {', '.join(STRENGTHS)}")
    if code.channel is not None and _CHANNEL.fullmatch(code.channel) is None:
        raise InputError("a channel is a short word, like essays")
    if len(code.attached) > 10 or not all(0 < len(each.strip()) <= 300 for each in code.attached):
        raise InputError("a code attaches at most 10 conditions, each of 1 to 300 characters")
    if code.remedy is not None and not 0 < len(code.remedy.strip()) <= 1000:
        raise InputError("a remedy has 1 to 1000 characters")
    return words


def check_sheet(sheet: Sheet, transcript: Transcript) -> None:
    """Refuse a sheet with a bad code, the same code twice, or an adequacy that is none. Raises InputError."""
    if len(sheet.codes) > MOST_CODES:
        raise InputError(f"a session has at most {MOST_CODES} codes")
    seen = set()
    for code in sheet.codes:
        check_code(code, transcript)
        if (code.span, code.domain) in seen:
            raise InputError(f"characters {code.start} to {code.end} of turn {code.turn} are coded twice alike")
        seen.add((code.span, code.domain))
    turns = {turn.turn for turn in transcript.turns}
    for turn, value in sheet.adequacy.items():
        if turn not in turns:
            raise InputError(f"there is no turn {turn}")
        if value not in ADEQUACIES:
            raise InputError(f"{value!r} is no adequacy; use one of: {', '.join(ADEQUACIES)}")


def read_sheet(value: object, transcript: Transcript) -> Sheet:
    """A whole sheet as a program gives it: {"codes": [...], "adequacy": {turn: value}}. Raises InputError."""
    if not isinstance(value, Mapping) or not isinstance(value.get("codes"), list) or set(value) - {"codes", "adequacy"}:
        raise InputError('a coding is {"codes": [...], "adequacy": {"3": "refused"}}; adequacy may be left out')
    given = value.get("adequacy", {})
    if not isinstance(given, Mapping) or not all(
        str(turn).isascii() and str(turn).isdigit() and isinstance(each, str) for turn, each in given.items()
    ):
        raise InputError("adequacy is an object from a turn's number to a word")
    sheet = Sheet(
        tuple(read_code(code, transcript) for code in value["codes"]),
        {int(turn): each for turn, each in given.items()},
    )
    check_sheet(sheet, transcript)
    return sheet


def adequacy_of(transcript: Transcript, turn: int, sheet: Sheet) -> str:
    """A turn's adequacy: as the coder corrected it, else by the plain rule."""
    found = transcript.turn(turn)
    return sheet.adequacy.get(turn) or adequacy(found.answer, found.answered, found.finish_reason)


def _is_plain(text: str) -> bool:
    """Whether every store can hold it: neither lone surrogates nor control characters."""
    return all(
        character in "\n\t" or (ord(character) >= 32 and not 0xD800 <= ord(character) < 0xE000) for character in text
    )


def _check_given(value: Mapping[str, Any], code: Code, transcript: Transcript) -> None:
    words = check_code(code, transcript)
    actual = {
        "quote": words,
        "transcript_sha256": transcript.sha256,
        "quote_sha256": hashlib.sha256(words.encode()).hexdigest(),
    }
    for name, expected in actual.items():
        if name in value and value[name] != expected:
            raise InputError(
                f"characters {code.start}-{code.end} of turn {code.turn} are not what was marked ({name} differs)",
                remedy="Open the session again and mark the words anew.",
            )
