"""The real `openai` SDK, over a real server: what it reads must be what OpenAI's types say, with nothing left over."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import openai
import pytest
from gateway_house import DIGEST, KEY, WORDS, House, died, leftovers, until
from openai.types.chat import ChatCompletionMessageParam

from emeritus.access.policy import Tokens
from emeritus.engines.base import Capabilities, Message
from emeritus.engines.open import open_engine
from emeritus.errors import ContextTooLong

ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Who are you?"}]
TEXT = "".join(WORDS)


async def test_an_answer_is_a_chat_completion(client: openai.AsyncOpenAI, house: House) -> None:
    """A whole answer carries text, reason, usage and the weights' fingerprint, in fields the SDK knows."""
    answer = await client.chat.completions.create(model="ibis", messages=ASK)
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (12, 6, 18)
    assert answer.system_fingerprint == f"fp_{DIGEST[:16]}"
    assert leftovers(answer) == []
    assert answer._request_id == answer.id
    assert house.metered == [Tokens(12, 6)]
    assert house.held == 0


async def test_a_stream_is_chat_completion_chunks(client: openai.AsyncOpenAI, house: House) -> None:
    """Chunks share one id, the first says who speaks, the last but one why it ended, the last what it used."""
    stream = await client.chat.completions.create(
        model="ibis", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert [entry for chunk in chunks for entry in leftovers(chunk)] == []
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.system_fingerprint for chunk in chunks} == {f"fp_{DIGEST[:16]}"}
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == TEXT
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]][-2:] == [None, "stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 18
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert house.metered == [Tokens(12, 6)]


async def test_usage_comes_only_when_asked_for(client: openai.AsyncOpenAI) -> None:
    """Without include_usage no chunk has the field, and the last one has a choice."""
    stream = await client.chat.completions.create(model="ibis", messages=ASK, stream=True)
    chunks = [chunk async for chunk in stream]
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_the_synchronous_sdk(address: str) -> None:
    """The blocking client lists, asks and streams too."""

    def drive() -> tuple[list[str], str, str]:
        with openai.OpenAI(base_url=address, api_key=KEY, max_retries=0) as client:
            models = [model.id for model in client.models.list()]
            whole = client.chat.completions.create(model="ibis", messages=ASK)
            stream = client.chat.completions.create(model="ibis", messages=ASK, stream=True)
            streamed = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        return models, whole.choices[0].message.content or "", streamed

    assert await asyncio.to_thread(drive) == (["ibis", "heron"], TEXT, TEXT)


async def test_log_probabilities(client: openai.AsyncOpenAI) -> None:
    """Whole and streamed, each token has its probability, bytes and alternatives; what is no number becomes -9999."""
    whole = await client.chat.completions.create(model="ibis", messages=ASK, logprobs=True, top_logprobs=2)
    stream = await client.chat.completions.create(
        model="ibis", messages=ASK, logprobs=True, top_logprobs=2, stream=True
    )
    chunks = [chunk async for chunk in stream]
    streamed = [
        entry for chunk in chunks if chunk.choices[0].logprobs for entry in chunk.choices[0].logprobs.content or []
    ]
    assert whole.choices[0].logprobs is not None
    assert whole.choices[0].logprobs.content == streamed
    assert [entry.token for entry in streamed] == list(WORDS)
    assert [bytes(entry.bytes or []).decode() for entry in streamed] == list(WORDS)
    assert [(top.logprob, top.bytes) for top in streamed[0].top_logprobs] == [(-0.25, list(b"The ")), (-9999.0, None)]
    assert leftovers(whole) == []


async def test_log_probabilities_that_were_not_asked_for(client: openai.AsyncOpenAI) -> None:
    """Without logprobs the field is null, and with logprobs alone there are no alternatives."""
    without = await client.chat.completions.create(model="ibis", messages=ASK)
    alone = await client.chat.completions.create(model="ibis", messages=ASK, logprobs=True)
    assert without.choices[0].logprobs is None
    assert alone.choices[0].logprobs is not None
    assert alone.choices[0].logprobs.content[0].top_logprobs == []


async def test_the_engine_is_asked_what_the_caller_asked(client: openai.AsyncOpenAI, house: House) -> None:
    """Roles, parts and every sampling field arrive; developer is system, and parts are joined as they are."""
    await client.chat.completions.create(
        model="ibis",
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": " b"}]},
            {"role": "assistant", "content": "c"},
            {"role": "user", "content": "d"},
        ],
        max_completion_tokens=9,
        temperature=0,
        top_p=0.5,
        seed=-7,
        stop=["\n", "END"],
        user="someone",
        metadata={"run": "1"},
        store=True,
    )
    messages, sampling = house.puppet.asked[0]
    assert messages == (
        Message("system", "Be brief."),
        Message("user", "a b"),
        Message("assistant", "c"),
        Message("user", "d"),
    )
    assert sampling.as_dict() == {
        "max_tokens": 9,
        "temperature": 0.0,
        "top_p": 0.5,
        "seed": -7,
        "stop": ["\n", "END"],
        "logprobs": None,
    }


async def test_the_scripted_engine_behind_the_gateway(client: openai.AsyncOpenAI, house: House, tmp_path: Path) -> None:
    """A real engine of ours speaks through the API as the puppet does, log-probabilities and its death included."""
    rules = [
        {"match": "Who", "answer": "A retired model."},
        {"match": "die", "fault": "die", "after": 1, "answer": "x y z"},
    ]
    house.puppet = await open_engine("scripted", {"rules": rules}, None, log_dir=tmp_path, threads=1)
    answer = await client.chat.completions.create(model="ibis", messages=ASK, logprobs=True, temperature=0)
    assert answer.choices[0].message.content == "A retired model."
    assert "".join(entry.token for entry in answer.choices[0].logprobs.content) == "A retired model."
    assert answer.usage.completion_tokens > 0
    with pytest.raises(openai.InternalServerError) as refused:
        await client.chat.completions.create(model="ibis", messages=[{"role": "user", "content": "die"}])
    assert refused.value.code == "EM403"


async def test_models_tell_what_retired_means(client: openai.AsyncOpenAI, house: House) -> None:
    """The list and each model carry OpenAI's shutdown date and our namespaced states; nothing is woken."""
    listed = (await client.models.list()).data
    ibis = await client.models.retrieve("ibis")
    assert [model.id for model in listed] == ["ibis", "heron"]
    assert listed[0].shutdown_date == ibis.shutdown_date == "2027-03-01"
    assert listed[1].shutdown_date is None
    assert ibis.model_extra["emeritus"] == {
        "title": "Ibis 7B",
        "status": "retired and reachable",
        "reachable": True,
        "reachable_at": None,
        "state": "asleep",
        "expected_wake_s": 12.3,
        "tier": "on-demand",
        "hours": None,
        "offering": "retired",
        "access": "by request",
        "preservation": "proven",
        "deprecated_at": "2027-01-01T00:00:00Z",
        "retires_at": "2027-03-01T00:00:00Z",
        "weights_digest": DIGEST,
        "page": "https://house.example/residents/ibis",
        "brown_outs": [],
    }
    assert leftovers(ibis) == [".emeritus"]
    assert house.loads == 0


async def test_deprecation_goes_with_the_models_address(client: openai.AsyncOpenAI) -> None:
    """The model's own address says Deprecation and Sunset; an answer links to the notice, anchored at the model."""
    model = await client.models.with_raw_response.retrieve("ibis")
    assert model.headers["Deprecation"] == "@1798761600"
    assert model.headers["Sunset"] == "Mon, 01 Mar 2027 00:00:00 GMT"
    assert model.headers["Link"] == '<https://house.example/residents/ibis>; rel="deprecation"; type="text/html"'
    answer = await client.chat.completions.with_raw_response.create(model="ibis", messages=ASK)
    assert answer.headers["Link"].endswith('; rel="deprecation"; type="text/html"; anchor="/v1/models/ibis"')
    assert "Deprecation" not in answer.headers
    heron = await client.models.with_raw_response.retrieve("heron")
    assert not {"Deprecation", "Sunset", "Link"} & {name.title() for name in heron.headers}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/chat/completions", {"messages": ASK}),
        ("/completions", {"prompt": "Once"}),
        ("/responses", {"input": "Hi"}),
        ("/messages", {"messages": ASK, "max_tokens": 9}),
    ],
)
async def test_every_answer_names_its_weights_and_the_deprecation(
    address: str, path: str, asked: dict[str, object], stream: bool
) -> None:
    """Each endpoint's answers, whole and streamed, have the link in a header and the fingerprint in their JSON."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{address}{path}", json={"model": "ibis", "stream": stream} | asked) as response,
    ):
        body = await response.text()
    assert response.status == 200
    assert response.content_type == ("text/event-stream" if stream else "application/json")
    assert response.headers["Link"].endswith('; rel="deprecation"; type="text/html"; anchor="/v1/models/ibis"')
    assert f'"system_fingerprint":"fp_{DIGEST[:16]}"' in body


@pytest.mark.parametrize("stream", [False, True])
async def test_a_wrong_key(client: openai.AsyncOpenAI, house: House, stream: bool) -> None:
    """A wrong key is an authentication error with our code and remedy, and wakes nothing."""
    wrong = client.with_options(api_key="em_nonsense")
    with pytest.raises(openai.AuthenticationError) as refused:
        await wrong.chat.completions.create(model="ibis", messages=ASK, stream=stream)
    assert refused.value.code == "EM601"
    assert refused.value.type == "authentication_error"
    assert "emeritus access key" in refused.value.body["remedy"]
    assert house.loads == 0


async def test_a_key_for_something_else(client: openai.AsyncOpenAI) -> None:
    """A good key without a right to this resident is refused as such."""
    with pytest.raises(openai.PermissionDeniedError) as refused:
        await client.chat.completions.create(model="heron", messages=ASK)
    assert refused.value.code == "EM602"


@pytest.mark.parametrize("name", ["dodo", "Ibis", "../ibis", "", "a\x00b", "x" * 10_000, "ibis/"])
async def test_an_unknown_model(client: openai.AsyncOpenAI, house: House, name: str) -> None:
    """A model that does not exist, or could not, is not found, and the field is named."""
    with pytest.raises(openai.NotFoundError) as refused:
        await client.chat.completions.create(model=name, messages=ASK)
    assert (refused.value.code, refused.value.param) == ("EM108", "model")
    assert house.admitted == 0


async def test_a_used_up_day_is_not_retried(client: openai.AsyncOpenAI, house: House) -> None:
    """The SDK would retry a 429 at once; the answer tells it not to, and when to come back."""
    house.quota = 0
    requests = 0

    def count(key: str | None, resident: str, admit: object = house.admit) -> object:
        nonlocal requests
        requests += 1
        return admit(key, resident)

    house.admit = count
    with pytest.raises(openai.RateLimitError) as refused:
        await client.with_options(max_retries=2).chat.completions.create(model="ibis", messages=ASK)
    assert refused.value.response.headers["Retry-After"] == "3600"
    assert requests == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_what_an_engine_cannot_do(client: openai.AsyncOpenAI, house: House, stream: bool) -> None:
    """Log-probabilities or stop sequences that the engine does not have are refused before any answer."""
    house.puppet.can = Capabilities(logprobs=False, stop=False)
    for asked in ({"logprobs": True}, {"stop": "x"}):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model="ibis", messages=ASK, stream=stream, **asked)
        assert (refused.value.code, refused.value.param) == ("EM408", next(iter(asked)))
    assert house.metered == [None, None]


@pytest.mark.parametrize("stream", [False, True])
async def test_errors_before_the_first_byte_have_their_status(
    client: openai.AsyncOpenAI, house: House, stream: bool
) -> None:
    """A prompt that is too long is a 400 even when a stream was asked for, and the request is given back."""
    house.puppet.fails_after = (0, ContextTooLong("the prompt has 900 tokens; the model reads 512"))
    with pytest.raises(openai.BadRequestError) as refused:
        await client.chat.completions.create(model="ibis", messages=ASK, stream=stream)
    assert refused.value.code == "EM405"
    assert house.metered == [None]
    assert house.held == 0


async def test_an_engine_that_dies_while_answering(client: openai.AsyncOpenAI, house: House) -> None:
    """A whole answer that cannot be finished is a 502 that names no file of ours, and the request is given back."""
    house.puppet.fails_after = (2, died())
    with pytest.raises(openai.InternalServerError) as refused:
        await client.chat.completions.create(model="ibis", messages=ASK)
    assert refused.value.status_code == 502
    assert refused.value.code == "EM403"
    assert "secret" not in refused.value.response.text
    assert house.metered == [None]


async def test_an_engine_that_dies_in_mid_stream(client: openai.AsyncOpenAI, house: House) -> None:
    """What was said arrives, then an error event the SDK raises; the request counts, for its caller got something."""
    house.puppet.fails_after = (3, died())
    stream = await client.chat.completions.create(model="ibis", messages=ASK, stream=True)
    said: list[str] = []

    async def read() -> None:
        async for chunk in stream:
            said.append(chunk.choices[0].delta.content or "")

    with pytest.raises(openai.APIError) as refused:
        await read()
    assert "".join(said) == "The model pro"
    assert refused.value.code == "EM403"
    assert "secret" not in str(refused.value.body)
    assert house.metered == [Tokens()]
    assert house.held == 0


async def test_an_engine_that_stops_without_an_end(client: openai.AsyncOpenAI, house: House) -> None:
    """A stream that just stops is an error, never a finished answer."""

    async def mute(*_: object) -> object:
        return
        yield

    house.puppet.stream = mute
    with pytest.raises(openai.InternalServerError) as refused:
        await client.chat.completions.create(model="ibis", messages=ASK)
    assert refused.value.code == "EM403"


async def test_a_defect_of_ours_ends_a_stream_with_an_error(client: openai.AsyncOpenAI, house: House) -> None:
    """Even an unforeseen exception reaches the caller as an error, without its text."""
    house.puppet.fails_after = (1, RuntimeError("secret"))
    stream = await client.chat.completions.create(model="ibis", messages=ASK, stream=True)
    with pytest.raises(openai.APIError) as refused:
        [chunk async for chunk in stream]
    assert refused.value.code == "EM000"
    assert "secret" not in str(refused.value.body)


async def test_a_caller_who_leaves_ends_its_stream(client: openai.AsyncOpenAI, house: House) -> None:
    """Closing a stream cancels the generation and lets go of the resident; what was produced till then counts."""
    house.puppet.endless, house.puppet.pause_s = True, 0.001
    stream = await client.chat.completions.create(model="ibis", messages=ASK, stream=True)
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    assert house.puppet.running == 1
    await stream.close()
    await until(lambda: house.metered)
    assert (house.puppet.running, house.puppet.cancelled, house.held) == (0, 1, 0)
    assert house.metered[0] is not None
    assert house.metered[0].completion > 0


async def test_a_caller_who_leaves_ends_its_whole_answer(client: openai.AsyncOpenAI, house: House) -> None:
    """A caller who waits for a whole answer and leaves cancels it too; the request is given back."""
    house.puppet.endless, house.puppet.pause_s = True, 0.001
    with pytest.raises(openai.APITimeoutError):
        await client.with_options(timeout=0.3).chat.completions.create(model="ibis", messages=ASK)
    await until(lambda: house.metered)
    assert (house.puppet.running, house.puppet.cancelled, house.held) == (0, 1, 0)
    assert house.metered == [None]


async def test_a_reader_who_reads_nothing_slows_the_engine(client: openai.AsyncOpenAI, house: House) -> None:
    """The engine is not read ahead of its caller without bound."""
    said = 0

    async def flood(*_: object) -> object:
        nonlocal said
        from emeritus.engines.base import Piece

        while True:
            said += 1
            yield Piece("x" * 10_000)

    house.puppet.stream = flood
    stream = await client.chat.completions.create(model="ibis", messages=ASK, stream=True)
    await asyncio.sleep(0.3)
    before = said
    await asyncio.sleep(0.2)
    assert said == before
    await stream.close()
    await until(lambda: house.metered)
