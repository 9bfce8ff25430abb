"""OpenAI's files and batches, driven by its own SDK against a served home."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from post_house import PostHouse, chat_line, jsonl

from emeritus.access.limits import Limits
from emeritus.access.policy import Standing
from emeritus.access.queries import last_uses
from emeritus.access.service import Terms
from emeritus.acts import Actor

CHAT = "/v1/chat/completions"


async def send(client: openai.AsyncOpenAI, *lines: object, endpoint: Any = CHAT, window: Any = "24h") -> Any:
    """Upload lines and make a batch of them."""
    file = await client.files.create(file=("requests.jsonl", jsonl(*lines)), purpose="batch")
    return await client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window=window, metadata={"study": "birds"}
    )


async def lines_of(client: openai.AsyncOpenAI, file: str | None) -> list[Any]:
    """The lines of a file a batch brought."""
    assert file is not None
    return [json.loads(line) for line in (await client.files.content(file)).text.splitlines()]


async def test_a_file_is_sent_listed_read_and_erased(client: openai.AsyncOpenAI, post: PostHouse) -> None:
    """What was uploaded comes back byte for byte, to its owner alone, until it is deleted."""
    data = jsonl(chat_line(1))
    file = await client.files.create(file=("a b.jsonl", data), purpose="batch")
    assert (file.bytes, file.filename, file.purpose, file.object) == (len(data), "a b.jsonl", "batch", "file")
    assert file.expires_at == file.created_at + 30 * 86400
    assert (await client.files.content(file.id)).content == data
    second = await client.files.create(file=("b.jsonl", data), purpose="batch")
    listed = [each.id async for each in client.files.list(limit=1)]
    assert sorted(listed) == sorted([file.id, second.id])
    async with post.client(post.key(who="someone else")) as other:
        with pytest.raises(openai.NotFoundError):
            await other.files.retrieve(file.id)
    assert (await client.files.delete(file.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.files.content(file.id)
    folder = post.app.settings.home / "correspondence" / "files"
    assert [each.name for each in folder.iterdir()] == [second.id]
    assert folder.stat().st_mode & 0o077 == 0


async def test_a_batch_for_a_live_resident_is_answered_at_once(client: openai.AsyncOpenAI, post: PostHouse) -> None:
    """Every line's answer stands in the output file, in order, in its endpoint's shape."""
    made = await send(client, chat_line(1, text="Your name?", n=2), chat_line(2))
    assert (made.status, made.endpoint, made.metadata) == ("in_progress", CHAT, {"study": "birds"})
    assert await post.round() == 2
    done = await client.batches.retrieve(made.id)
    assert (done.status, done.error_file_id) == ("completed", None)
    assert done.request_counts is not None
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (2, 2, 0)
    lines = await lines_of(client, done.output_file_id)
    assert [line["custom_id"] for line in lines] == ["q-1", "q-2"]
    first = lines[0]["response"]["body"]
    assert [each["message"]["content"] for each in first["choices"]] == ["A heron.", "A heron."]
    assert lines[0]["response"]["status_code"] == 200
    assert lines[0]["error"] is None
    assert openai.types.chat.ChatCompletion.model_validate(first).model == "wren"
    used = sum(line["response"]["body"]["usage"]["total_tokens"] for line in lines)
    assert done.usage is not None
    assert done.usage.total_tokens == used
    post.app.access.flush()
    with post.app.database.reading() as session:
        (use,) = last_uses(session, "wren")
    assert (use.requests, use.tokens) == (2, used)
    assert [each.id async for each in client.batches.list()] == [made.id]
    assert not (post.app.settings.home / "correspondence" / "batches" / made.id).exists()


async def test_completions_and_responses_are_answered_in_their_shapes(
    client: openai.AsyncOpenAI, post: PostHouse
) -> None:
    """A batch of /v1/responses brings responses; one of another endpoint's lines is refused by line."""
    body = {"model": "wren", "input": "Your name?"}
    made = await send(
        client, {"custom_id": "r", "method": "POST", "url": "/v1/responses", "body": body}, endpoint="/v1/responses"
    )
    await post.round()
    (line,) = await lines_of(client, (await client.batches.retrieve(made.id)).output_file_id)
    response = openai.types.responses.Response.model_validate(line["response"]["body"])
    assert (response.output_text, response.status) == ("A heron.", "completed")


async def test_a_correspondent_answers_in_its_window_and_not_before(
    client: openai.AsyncOpenAI, post: PostHouse
) -> None:
    """At the tier correspondence a batch waits for the published window; its deadline leaves the window whole."""
    made = await send(client, *(chat_line(number, "heron") for number in range(5)))
    assert await post.round() == 0
    assert (await client.batches.retrieve(made.id)).status == "in_progress"
    assert post.app.reviving.states() == {}  # nobody was woken
    assert made.expires_at == int(post.clock().replace(day=7, hour=12).timestamp())
    post.clock.move(hours=15)
    assert await post.round() == 5
    assert (await client.batches.retrieve(made.id)).status == "completed"


async def test_bad_lines_are_named_and_nothing_is_asked(client: openai.AsyncOpenAI, post: PostHouse) -> None:
    """A batch with bad lines fails at once and says which lines and why."""
    made = await send(
        client,
        chat_line(1),
        "{no json",
        chat_line(1),
        chat_line(4, "nobody"),
        chat_line(5, temperature=9),
        chat_line(6, stream=True),
        {**chat_line(7), "url": "/v1/completions"},
        {**chat_line(8), "custom_id": 8},
        "[" * 5000,
        "",
        {**chat_line(11), "custom_id": "\0"},
        '{"custom_\\ud800": 1}',
        "",
    )
    assert made.status == "failed"
    assert made.errors is not None
    told = {each.line: (each.code, each.param) for each in made.errors.data}
    assert told == {
        2: ("EM105", None),
        3: ("EM105", "custom_id"),
        4: ("EM108", "model"),
        5: ("EM105", "temperature"),
        6: ("EM105", "stream"),
        7: ("EM105", "url"),
        8: ("EM105", "custom_id"),
        9: ("EM105", None),
        10: ("EM105", None),
        11: ("EM105", "custom_id"),
        12: ("EM105", None),
    }
    assert await post.round() == 0
    assert (await client.batches.retrieve(made.id)).status == "failed"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"completion_window": "soon"}, "completion_window"),
        ({"completion_window": "31d"}, "completion_window"),
        ({"metadata": {"": "x"}}, "metadata"),
        ({"input_file_id": 4}, "input_file_id"),
        ({"other": 1}, "other"),
    ],
)
async def test_a_bad_batch_is_one_clear_error(client: openai.AsyncOpenAI, change: dict[str, Any], param: str) -> None:
    """What makes a batch is checked field by field."""
    file = await client.files.create(file=("f", jsonl(chat_line(1))), purpose="batch")
    body = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h", **change}
    with pytest.raises(openai.BadRequestError) as refused:
        await client.post("/batches", body=body, cast_to=object)
    assert refused.value.param == param


async def test_a_key_that_may_not_send_is_refused(post: PostHouse, client: openai.AsyncOpenAI) -> None:
    """No key, a wrong key, a key for chat alone and a resident in the archive are refused before anything is kept."""
    from emeritus.access.service import KeyTerms

    grant = post.app.access.grant("*", "eve", Terms(), "r", Actor("ana"))
    chat_only = post.app.access.issue_key(grant, "", KeyTerms(scopes=("chat",)))
    for key, kind in (("em_wrong", openai.AuthenticationError), (chat_only, openai.PermissionDeniedError)):
        async with post.client(key) as other:
            with pytest.raises(kind):
                await other.files.create(file=("f", b"{}"), purpose="batch")
    post.app.access.set_tier("wren", Standing("archive", "entitled"), "r", Actor("ana"))
    with pytest.raises(openai.PermissionDeniedError, match="archive"):
        await send(client, chat_line(1))
    assert [each async for each in client.batches.list()] == []


async def test_a_budget_that_ends_in_the_middle_ends_the_rest(post: PostHouse) -> None:
    """Three requests a day: three lines are answered, each of the others carries the clear error of a used-up quota."""
    async with post.client(post.key(Terms(limits=Limits(requests_per_day=3)))) as client:
        made = await send(client, *(chat_line(number) for number in range(5)))
        assert await post.round() == 5
        done = await client.batches.retrieve(made.id)
        assert done.status == "completed"
        assert len(await lines_of(client, done.output_file_id)) == 3
        failed = await lines_of(client, done.error_file_id)
        assert [line["response"]["status_code"] for line in failed] == [429, 429]
        error = failed[0]["response"]["body"]["error"]
        assert (error["code"], error["type"]) == ("EM603", "rate_limit_error")
        assert "3 requests of this UTC day" in error["message"]


async def test_cancel_and_deadline_keep_what_is_done(client: openai.AsyncOpenAI, post: PostHouse) -> None:
    """A cancelled batch says so for each line not asked, one past its deadline as well; answers there are stay."""
    cancelled = await send(client, chat_line(1, "heron"))
    assert (await client.batches.cancel(cancelled.id)).status == "cancelled"
    assert (await client.batches.cancel(cancelled.id)).status == "cancelled"
    late = await send(client, chat_line(1, "heron"), chat_line(2))
    assert await post.round() == 1
    post.clock.move(days=2)
    assert await post.round() == 0
    done = await client.batches.retrieve(late.id)
    assert done.status == "expired"
    assert done.expired_at == int(post.clock().timestamp())
    (answered,) = await lines_of(client, done.output_file_id)
    (expired,) = await lines_of(client, done.error_file_id)
    assert (answered["custom_id"], expired["custom_id"], expired["response"]) == ("q-2", "q-1", None)
    assert expired["error"]["code"] == "batch_expired"
    gone = await client.batches.retrieve(cancelled.id)
    (line,) = await lines_of(client, gone.error_file_id)
    assert line["error"]["code"] == "batch_cancelled"


async def test_everything_is_erased_when_its_days_are_over(client: openai.AsyncOpenAI, post: PostHouse) -> None:
    """After `correspondence_days` no file, batch or text is left, neither as rows nor on disk."""
    made = await send(client, chat_line(1))
    await post.round()
    await client.batches.retrieve(made.id)
    post.clock.move(days=33)
    await post.round()
    assert [each async for each in client.batches.list()] == []
    assert [each async for each in client.files.list()] == []
    left = [each for each in (post.app.settings.home / "correspondence").rglob("*") if each.is_file()]
    assert {each.parent.name for each in left} <= {"turns"}


async def test_uploads_are_bounded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file above the setting is refused with 413, another purpose with 400."""
    from post_house import served

    house = PostHouse.make(tmp_path_factory.mktemp("small") / "home", correspondence_file_bytes=2000)
    async with served(house), house.client(house.key()) as client:
        with pytest.raises(openai.APIStatusError) as refused:
            await client.files.create(file=("f", b"x" * 80_000), purpose="batch")
        assert refused.value.status_code == 413
        with pytest.raises(openai.BadRequestError):
            await client.files.create(file=("f", b"x"), purpose="vision")
    house.app.close()
