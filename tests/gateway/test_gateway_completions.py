"""`/v1/completions` through the real SDK: raw texts, several of them, several choices of each."""

from __future__ import annotations

import json

import openai
import pytest
from gateway_house import DIGEST, WORDS, House, died, leftovers

from emeritus.access.policy import Tokens
from emeritus.engines.base import Capabilities
from emeritus.errors import BadRequest
from emeritus.gateway.openai.completions_body import (
    COMPLETION_IGNORED,
    COMPLETION_UNUSED,
    parse_completion,
)

TEXT = "".join(WORDS)


async def test_a_completion(client: openai.AsyncOpenAI, house: House) -> None:
    """A raw text reaches the engine as it is, and its continuation is OpenAI's old completion."""
    answer = await client.completions.create(
        model="ibis", prompt="Once", max_tokens=9, temperature=0, stop="\n", seed=3
    )
    assert (answer.object, answer.choices[0].text, answer.choices[0].finish_reason) == ("text_completion", TEXT, "stop")
    assert answer.usage.total_tokens == 18
    assert answer.system_fingerprint == f"fp_{DIGEST[:16]}"
    assert leftovers(answer) == []
    ((text, sampling),) = house.puppet.continued
    assert (text, sampling.max_tokens, sampling.temperature, sampling.stop, sampling.seed) == ("Once", 9, 0, ("\n",), 3)
    assert house.puppet.asked == []
    assert house.metered == [Tokens(12, 6)]


async def test_several_prompts_with_several_choices(client: openai.AsyncOpenAI, house: House) -> None:
    """Choices go by prompt and then by choice; a seed differs between a prompt's choices; each prompt counts once."""
    answer = await client.completions.create(model="ibis", prompt=["a", "b"], n=2, seed=5, echo=True)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [choice.text[0] for choice in answer.choices] == ["a", "a", "b", "b"]
    assert sorted((text, sampling.seed) for text, sampling in house.puppet.continued) == [
        ("a", 5),
        ("a", 6),
        ("b", 5),
        ("b", 6),
    ]
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (24, 24)
    assert house.metered == [Tokens(24, 24)]


async def test_a_stream_of_completions(client: openai.AsyncOpenAI, house: House) -> None:
    """Streamed, each choice's pieces join to its text, an echo comes first, and usage last where asked for."""
    stream = await client.completions.create(
        model="ibis", prompt=["a", "b"], echo=True, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    said = {0: "", 1: ""}
    for chunk in chunks[:-1]:
        said[chunk.choices[0].index] += chunk.choices[0].text
    assert said == {0: f"a{TEXT}", 1: f"b{TEXT}"}
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]].count("stop") == 2
    assert chunks[-1].usage.completion_tokens == 12
    assert [entry for chunk in chunks for entry in leftovers(chunk)] == []
    assert house.metered == [Tokens(24, 12)]


async def test_log_probabilities_in_the_old_form(client: openai.AsyncOpenAI) -> None:
    """Tokens, offsets, probabilities and alternatives are lists side by side, streamed as whole."""
    whole = (await client.completions.create(model="ibis", prompt="x", logprobs=1)).choices[0].logprobs
    assert whole.tokens == list(WORDS)
    assert whole.text_offset == [0, 4, 10, 13, 19, 23]
    assert whole.token_logprobs == [-0.25] * 6
    assert whole.top_logprobs[0] == {"The ": -0.25}
    stream = await client.completions.create(model="ibis", prompt="x", logprobs=1, stream=True)
    streamed = [chunk.choices[0].logprobs async for chunk in stream]
    assert [offset for each in streamed for offset in each.text_offset] == whole.text_offset


async def test_an_engine_without_raw_text(client: openai.AsyncOpenAI, house: House) -> None:
    """A resident that only converses refuses by name, before any answer."""
    house.puppet.can = Capabilities()
    with pytest.raises(openai.BadRequestError) as refused:
        await client.completions.create(model="ibis", prompt="x")
    assert (refused.value.code, refused.value.param) == ("EM408", "prompt")


async def test_one_choice_that_fails_ends_all(client: openai.AsyncOpenAI, house: House) -> None:
    """When the engine dies the call fails as a whole, nothing goes on in the dark, and the request is given back."""
    house.puppet.fails_after = (2, died())
    with pytest.raises(openai.InternalServerError) as refused:
        await client.completions.create(model="ibis", prompt="x", n=3)
    assert refused.value.code == "EM403"
    assert (house.puppet.running, house.held, house.metered) == (0, 0, [None])


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ('{"model": "ibis"}', "prompt"),
        ('{"model": "ibis", "prompt": null}', "prompt"),
        ('{"model": "ibis", "prompt": []}', "prompt"),
        ('{"model": "ibis", "prompt": [1, 2]}', "prompt"),
        ('{"model": "ibis", "prompt": [[1, 2]]}', "prompt"),
        ('{"model": "ibis", "prompt": ["a", "b"], "n": 100}', "n"),
        ('{"model": "ibis", "prompt": "a", "logprobs": 6}', "logprobs"),
        ('{"model": "ibis", "prompt": "a", "logprobs": 1, "echo": true}', "echo"),
        ('{"model": "ibis", "prompt": "a", "best_of": 2}', "best_of"),
        ('{"model": "ibis", "prompt": "a", "suffix": "z"}', "suffix"),
        ('{"model": "ibis", "prompt": "a", "messages": []}', "messages"),
        ('{"model": "ibis", "prompt": "a", "stop": [""]}', "stop"),
    ],
)
def test_what_is_refused(body: str, param: str) -> None:
    """Tokens, unknown fields and what is not followed are refused by name."""
    with pytest.raises(BadRequest) as refused:
        parse_completion(body.encode())
    assert refused.value.facts["param"] == param


def test_habits_are_harmless() -> None:
    """What clients send by habit, as null or with the value that means "not used", is accepted."""
    unused = {name: values[0] for name, values in COMPLETION_UNUSED.items()}
    for extra in (unused, dict.fromkeys(COMPLETION_UNUSED), dict.fromkeys(COMPLETION_IGNORED, "x")):
        assert parse_completion(json.dumps({"model": "ibis", "prompt": "a"} | extra).encode()).call.prompts == ("a",)
