"""docs/api.md says what the API does: every route, field, tier and reason."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from gateway_house import LIMITS, House
from starlette.routing import Route

from emeritus.access.policy import ACCESSES, REFUSALS
from emeritus.engines.base import Sampling
from emeritus.gateway.anthropic.face import VERSIONS
from emeritus.gateway.anthropic.messages_body import MESSAGE_IGNORED, MESSAGE_UNUSED, CountBody, MessageBody
from emeritus.gateway.anthropic.models import LIFECYCLES
from emeritus.gateway.anthropic.refusals import TYPES
from emeritus.gateway.app import build_gateway
from emeritus.gateway.openai.chat_body import IGNORED, UNUSED, ChatBody
from emeritus.gateway.openai.completions_body import COMPLETION_IGNORED, COMPLETION_UNUSED, MAX_TOKENS, CompletionBody
from emeritus.gateway.openai.responses_body import RESPONSE_IGNORED, RESPONSE_UNUSED, ResponseBody
from emeritus.gateway.standing import Standing
from emeritus.tiers import Tier

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def section(start: str, end: str) -> str:
    """The text between two marks."""
    return TEXT.split(start, 1)[1].split(end, 1)[0]


def test_every_route_is_documented() -> None:
    """The table of addresses and the application name the same routes."""
    served = {
        f"{method} /v1{route.path.replace('{name:path}', '{id}').replace('{name}', '{id}')}"
        for route in build_gateway(House(), LIMITS, SimpleNamespace(kept=None)).routes  # nothing is asked of it
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert set(re.findall(r"^\| `((?:GET|POST|DELETE) [^`]+)`", TEXT, re.MULTILINE)) == served


@pytest.mark.parametrize(
    ("start", "end", "names"),
    [
        ("**Followed:**", "Messages have", set(ChatBody.model_fields)),
        ("**Accepted without effect**", "**Refused**", set(IGNORED)),
        ("**Refused**", "The rule", set(UNUSED)),
        ("**Fields followed:**", "**Fields without", set(CompletionBody.model_fields)),
        ("**Fields without effect:**", "## Responses", set(COMPLETION_IGNORED) | set(COMPLETION_UNUSED)),
        ("**Fields taken:**", "**Nothing is kept**", set(ResponseBody.model_fields)),
        ("**Nothing is kept**", "A stream that fails", set(RESPONSE_IGNORED) | set(RESPONSE_UNUSED)),
        ("**Fields read:**", "`system` and the content", set(MessageBody.model_fields)),
        ("**No effect:**", "**Not followed**", set(MESSAGE_IGNORED)),
        ("**Not followed**", "The `anthropic-version`", set(MESSAGE_UNUSED)),
        ("The `anthropic-version`", "**The answer**", set(VERSIONS)),
        ("### Counting tokens", "The count is", set(CountBody.model_fields)),
        ("### Anthropic's model objects", "### Errors in", set(LIFECYCLES)),
        ("Types by status:", "## Errors", set(TYPES.values())),
        ("in the object `emeritus`", "also sends", set(Standing.model_fields)),
        ("in the object `emeritus`", "also sends", set(Tier) | set(ACCESSES)),
        ("## Who may call", "A key is", set(REFUSALS)),
    ],
    ids=[
        "followed",
        "ignored",
        "refused",
        "completions",
        "not in completions",
        "responses",
        "not in responses",
        "messages",
        "without effect in messages",
        "not in messages",
        "versions",
        "counting",
        "lifecycles",
        "types of errors",
        "standing",
        "states",
        "reasons",
    ],
)
def test_every_name_is_documented(start: str, end: str, names: set[str]) -> None:
    """Each field or code stands in its own section."""
    found = {name.split(".")[0] for name in re.findall(r"`([^`]+)`", section(start, end))}
    assert names <= found


def test_the_error_of_each_reason() -> None:
    """The table gives each reason code the error it raises."""
    for code, error in REFUSALS.items():
        line = next(line for line in section("## Who may call", "A key is").splitlines() if f"`{code}`" in line)
        assert error.code in line


def test_the_default_length() -> None:
    """The documented default of max_tokens is the engine's."""
    assert f"({Sampling().max_tokens} when neither is sent)" in TEXT
    assert f"`max_tokens` ({MAX_TOKENS} when it is not sent)" in TEXT
    assert f"`max_output_tokens` ({Sampling().max_tokens} when it is not sent)" in TEXT
