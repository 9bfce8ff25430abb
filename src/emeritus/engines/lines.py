"""How messages, sampling, pieces, scores and errors stand on a line of JSON, between a model's process and who asks it.

Alike for the embedded engine's worker and for a replica in a cluster. Knows no transport.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from emeritus import errors
from emeritus.engines.base import Message, Piece, Sampling, Scored, TokenLogprob
from emeritus.errors import EmeritusError, EngineFailed

Fields = Mapping[str, Any]
_BY_CODE = {cls.code: cls for cls in errors.walk()}


def read_message(fields: Fields) -> Message:
    """A message, as `Message.as_dict` wrote it."""
    return Message(fields["role"], fields["content"], tuple(fields.get("tool_calls", ())), fields.get("tool_call_id"))


def read_sampling(fields: Fields) -> Sampling:
    """How an answer is drawn, as `Sampling.as_dict` wrote it."""
    return Sampling(**{**fields, "stop": tuple(fields["stop"])})


def read_piece(fields: Fields) -> Piece:
    """A piece of an answer, as `write_piece` wrote it."""
    logprobs = tuple(
        TokenLogprob(each["token"], each["logprob"], tuple((text, value) for text, value in each["top"]))
        for each in fields["logprobs"]
    )
    return Piece(**{**fields, "logprobs": logprobs})


def write_piece(piece: Piece) -> dict[str, Any]:
    """A piece's fields but `raw`, which is of other wires."""
    return {name: value for name, value in asdict(piece).items() if name != "raw"}


def read_scored(fields: Fields) -> Scored:
    """A score."""
    return Scored(tuple(fields["token_ids"]), tuple(fields["logprobs"]))


def read_error(fields: Fields) -> EmeritusError:
    """The error that `EmeritusError.as_dict` wrote, to be raised by this caller; of an unknown code, EngineFailed."""
    return _BY_CODE.get(fields["code"], EngineFailed)(fields["message"], remedy=fields["remedy"], **fields["facts"])
