"""Batches in no vendor's words: lines checked one by one, taken in for whoever may send them, and worded when answered.

A wire format brings how a line is read (`Parse`); its own endpoints shape the rest. Blocking: endpoints call it in
threads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from pydantic_core import from_json

from emeritus.answering import Answering
from emeritus.correspondence.questions import Question
from emeritus.correspondence.service import NewBatch, NewLine, Result
from emeritus.correspondence.views import Sender
from emeritus.errors import BadRequest, EmeritusError
from emeritus.gateway.backend import GatewayBackend, ModelInfo
from emeritus.gateway.calls import Call
from emeritus.gateway.naming import known_model
from emeritus.gateway.wording import Parse

Json = dict[str, Any]
MOST_CUSTOM_ID = 256  # characters
MOST_PROBLEMS = 100  # lines that are named; the rest would say no more


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a batch as it came: a name of the caller's, and the body that its endpoint would be sent."""

    custom_id: object
    body: object


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a line is refused. `line` is counted from 0."""

    line: int
    error: EmeritusError


class Post:
    """What the batch endpoints of all vendors share."""

    def __init__(self, backend: GatewayBackend, answering: Answering, most_body_bytes: int) -> None:
        self._backend = backend
        self.answering = answering
        self.kept = answering.kept
        self.most_body_bytes = most_body_bytes

    def read(self, asked: Iterator[Asked | EmeritusError], parse: Parse) -> tuple[list[NewLine], list[Problem]]:
        """Every line as a question, and what is wrong with the others. An error among `asked` is such a line's."""
        lines: list[NewLine] = []
        problems: list[Problem] = []
        names: set[str] = set()
        models: dict[str, ModelInfo | EmeritusError] = {}
        for number, each in enumerate(asked):
            try:
                if isinstance(each, EmeritusError):
                    raise each
                lines.append(self._line(each, parse, names, models))
            except EmeritusError as error:
                problems.append(Problem(number, error))
                if len(problems) >= MOST_PROBLEMS:
                    break
        return lines, problems

    def take(self, key: str | None, sender: Sender, lines: Sequence[NewLine], new: NewBatch, within: timedelta) -> str:
        """Take a batch in for whoever may ask all its residents; its id. `new.deadline` is reckoned here.

        Raises AccessError.
        """
        residents = sorted({line.resident for line in lines})
        self.answering.may_send(key, residents)
        made = self.kept.create(sender, replace(new, deadline=self.answering.deadline(residents, within)), lines)
        for resident in residents:
            self.answering.ask(resident)
        return made

    def worded(self, result: Result, parse: Parse) -> Json:
        """The body that answers one line, as its endpoint would have sent it. Its id is the same however often."""
        _, render = parse(json.dumps(result.body).encode())
        info = replace(self._backend.model(result.resident), weights_digest=result.weights_digest)
        found: Json = json.loads(render(info).whole(result.answers))
        return found

    def _line(
        self, asked: Asked, parse: Parse, names: set[str], models: dict[str, ModelInfo | EmeritusError]
    ) -> NewLine:
        name = asked.custom_id
        if not isinstance(name, str) or not 0 < len(name) <= MOST_CUSTOM_ID or "\0" in name:
            raise BadRequest(f"custom_id is not a text of 1 to {MOST_CUSTOM_ID} characters", param="custom_id")
        if name in names:
            raise BadRequest(f"custom_id {name!r} stands in an earlier line as well", param="custom_id")
        names.add(name)
        if not isinstance(asked.body, dict):
            raise BadRequest("the request's body is no JSON object", param="body")
        call, _ = parse(json.dumps(asked.body).encode())
        if call.stream:
            raise BadRequest("a batch is not streamed", remedy="Leave `stream` out.", param="stream")
        if call.model not in models:
            try:
                models[call.model] = known_model(self._backend, call.model)
            except EmeritusError as error:
                models[call.model] = error
        found = models[call.model]
        if isinstance(found, EmeritusError):
            raise found
        return NewLine(name, found.name, asked.body, question_of(call))


def question_of(call: Call) -> Question:
    """What a call asks, to be kept."""
    return Question(call.prompts, call.sampling, call.n, call.tools)


def read_json(text: bytes) -> Any:
    """JSON as every reader understands it. Raises BadRequest."""
    try:
        return from_json(text, allow_inf_nan=False)  # refuses lone surrogates too, which no database keeps
    except ValueError as error:
        raise BadRequest("this is no JSON") from error


def page(query: Mapping[str, str], most: int, usual: int) -> int:
    """The query's `limit`. Raises BadRequest."""
    text = query.get("limit", str(usual))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise BadRequest(f"limit is a number from 1 to {most}", param="limit")
    return int(text)
