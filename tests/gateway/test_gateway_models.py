"""What a model's address says of its retirement."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import pytest
from anthropic.types import ErrorResponse
from gateway_house import HERON, IBIS, LIMITS

from emeritus import errors
from emeritus.errors import BrownedOut
from emeritus.gateway.anthropic.refusals import refusal_body
from emeritus.gateway.backend import Limits
from emeritus.gateway.faults import EXPECTED, error_headers
from emeritus.gateway.notices import answer_headers, notice_headers, status_of
from emeritus.gateway.openai.refusals import error_body
from emeritus.settings import Settings
from emeritus.statuses import http_status


@pytest.mark.parametrize("days", [-400, -1, 0, 1, 400])
def test_sunset_is_never_before_deprecation(days: int) -> None:
    """RFC 9745, section 4, whatever the records say."""
    info = replace(IBIS, retires=IBIS.deprecated + timedelta(days=days))
    headers = notice_headers(info)
    sunset = parsedate_to_datetime(headers["Sunset"])
    assert sunset >= datetime.fromtimestamp(int(headers["Deprecation"].removeprefix("@")), UTC)
    assert sunset == max(info.retires, info.deprecated)


def test_headers_are_in_utc() -> None:
    """A moment of another zone is the same moment in GMT."""
    local = datetime(2027, 3, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert notice_headers(replace(IBIS, retires=local))["Sunset"] == "Mon, 01 Mar 2027 00:00:00 GMT"


def test_nothing_announced_says_nothing() -> None:
    """A resident that is only in care has no notice, on its address or its answers."""
    assert notice_headers(HERON) == {}
    assert answer_headers(HERON, "/v1/models/heron") == {}
    assert set(notice_headers(replace(IBIS, page=""))) == {"Deprecation", "Sunset"}


def test_status_in_words() -> None:
    """Retired is not gone, and the status says which."""
    assert status_of(IBIS) == "retired and reachable"
    assert status_of(replace(IBIS, reachable=False)) == "retired, not answering calls"
    assert status_of(HERON) == "active and reachable"


@pytest.mark.parametrize("cls", errors.walk(), ids=lambda cls: cls.code)
def test_every_error_has_openais_shape(cls: type[errors.EmeritusError]) -> None:
    """Each error has a message with its remedy, a type, its code; a 5xx keeps its detail to itself."""
    error = cls("detail of /srv/secret")
    fact = error_body(error).error
    assert fact.code == cls.code
    assert error.remedy in fact.message
    assert ("secret" in fact.message) == (http_status(error) < 500 or cls in EXPECTED)


@pytest.mark.parametrize("cls", errors.walk(), ids=lambda cls: cls.code)
def test_every_error_has_anthropics_shape(cls: type[errors.EmeritusError]) -> None:
    """So has it there: a type the SDK knows, or one of the two it lacks; code and remedy where its client looks."""
    error = cls("detail of /srv/secret")
    body = refusal_body(error, "req_1").model_dump()
    if body["error"]["type"] in {"request_too_large", "model_brown_out"}:
        body["error"]["type"] = "invalid_request_error"
    read = ErrorResponse.model_validate(body)
    assert (read.type, read.request_id) == ("error", "req_1")
    assert error.remedy in read.error.message
    assert ("secret" in read.error.message) == (http_status(error) < 500 or cls in EXPECTED)
    assert (body["error"]["details"]["error_code"], body["error"]["details"]["remedy"]) == (cls.code, error.remedy)
    assert (read.error.type in {"api_error", "overloaded_error"}) == (
        http_status(error) >= 500 and cls is not BrownedOut
    )


@pytest.mark.parametrize(("asked", "sent"), [(None, "15"), (0.2, "1"), (30, "30"), (3600, "120")])
def test_retry_after_of_a_503_is_what_sdks_honour(asked: float | None, sent: str) -> None:
    """Between 1 and 120 seconds, in whole seconds."""
    facts = {} if asked is None else {"retry_after_s": asked}
    assert error_headers(errors.Busy("full", **facts)) == {"Retry-After": sent}


@pytest.mark.parametrize(("wait", "retried"), [(5, True), (120, True), (121, False), (3600, False)])
def test_a_limit_that_is_used_up_says_whether_to_wait(wait: float, retried: bool) -> None:
    """A minute's limit is worth an SDK's retry, a day's is not; each says when there is room again."""
    headers = error_headers(errors.QuotaExceeded("used up", retry_after_s=wait))
    assert headers == {"Retry-After": str(wait)} | ({} if retried else {"x-should-retry": "false"})


def test_limits_follow_the_settings() -> None:
    """Body size and wait come from the settings."""
    limits = Limits.of(Settings(max_body_bytes=2048, wake_timeout_s=5))
    assert (limits.max_body_bytes, limits.wake_timeout_s) == (2048, 5)
    assert limits.stream_wake_timeout_s > LIMITS.wake_timeout_s
