"""What every engine owes its callers, as one class of tests.

A backend's test class derives from `EngineContract` and provides an `engine` fixture that opens a fresh engine and
closes it. A test skips only what the engine itself declares it cannot do. Nobody overrides a test.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from emeritus.engines.base import Answer, Engine, Message, Perturbation, Piece, Sampling, collect
from emeritus.errors import BadRequest, EngineDied, NotSupported

GREEDY = Sampling(max_tokens=24, temperature=0.0)
TOOL = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "Look a word up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
    },
}


class EngineContract:
    """Derive, provide `engine`, and adapt the two questions to what the model at hand can answer."""

    question: Message = Message("user", "Count to ten.")  # its greedy answer has at least four tokens
    letters: Message = Message("user", "Letters please.")  # its answer holds characters of several bytes, if it can

    async def test_answers(self, engine: Engine) -> None:
        """A question gets text, a reason for its end, and a count of tokens."""
        answer = await engine.answer([self.question], GREEDY)
        assert answer.text
        assert answer.finish_reason in ("stop", "length")
        assert answer.prompt_tokens > 0
        assert 0 < answer.completion_tokens <= GREEDY.max_tokens

    async def test_stream_is_the_answer(self, engine: Engine) -> None:
        """The pieces, joined, are the answer; exactly the last one carries reason and usage."""
        pieces = [piece async for piece in engine.stream([self.question], GREEDY)]
        answer = await engine.answer([self.question], GREEDY)
        assert "".join(piece.text for piece in pieces) == answer.text
        assert [piece.finish_reason is not None for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert (pieces[-1].prompt_tokens, pieces[-1].completion_tokens) == (
            answer.prompt_tokens,
            answer.completion_tokens,
        )
        assert len(pieces) > 3

    async def test_raw_bytes(self, engine: Engine) -> None:
        """Every answer has bytes to be recorded; without a server they are canonical JSON of the answer."""
        answer = await engine.answer([self.question], GREEDY)
        assert answer.raw
        if b"data:" not in answer.raw:
            fields = json.loads(answer.raw)
            if "usage" in fields:  # a server's own document
                assert json.dumps(answer.text) in json.dumps(fields)
                return
            assert fields["text"] == answer.text
            assert fields["completion_tokens"] == answer.completion_tokens

    async def test_perturbed_scores(self, engine: Engine) -> None:
        """A change of size nothing scores the same; each other one differs, the same each time, and then is undone."""
        if not engine.can.perturb:
            pytest.skip("declared: perturb is False")
        perturbable: Any = engine
        texts = ["One, two, three.", "A second text, of more words."]
        plain = await engine.score(texts)
        changes = [
            Perturbation("noise", 0.0),
            Perturbation("rounding", 1e-3, 1),
            Perturbation("noise", 1e-2, 1),
            Perturbation("zero", 0.0, 2),
            Perturbation("int8"),
            Perturbation("noise", 1e-2, 1),
            Perturbation("noise", 1e-2, 2),
            Perturbation("flip", 0.0, 5),
            Perturbation("noise", 0.0),
        ]
        found = [scored async for scored in perturbable.perturbed(texts, changes)]
        assert len(found) == len(changes)
        assert all([each.token_ids for each in scored] == [each.token_ids for each in plain] for scored in found)
        assert found[0] == found[-1] == plain
        assert found[2] == found[5] != found[6]
        assert all(scored != plain for scored in found[1:7])
        assert await engine.score(texts) == plain
        async with aclosing(perturbable.perturbed(texts, changes)) as leaving:
            assert await anext(leaving) == plain
        assert await engine.score(texts) == plain

    async def test_greedy_repeats(self, engine: Engine) -> None:
        """At temperature 0 the same question gets the same answer."""
        first, second = [await engine.answer([self.question], GREEDY) for _ in range(2)]
        assert first.text == second.text

    async def test_limit(self, engine: Engine) -> None:
        """`max_tokens` ends an answer, and the reason says so."""
        answer = await engine.answer([self.question], replace(GREEDY, max_tokens=2))
        assert answer.finish_reason == "length"
        assert answer.completion_tokens == 2

    async def test_stop(self, engine: Engine) -> None:
        """A stop sequence ends the answer just before its first occurrence."""
        whole = (await engine.answer([self.question], GREEDY)).text
        middle = len(whole) // 2
        stop = whole[middle : middle + 2]
        answer = await engine.answer([self.question], replace(GREEDY, stop=(stop, "never said")))
        assert answer.text == whole[: whole.index(stop)]
        assert answer.finish_reason == "stop"
        assert answer.stop_sequence in ((stop,) if engine.can.stop_sequence else (stop, None))
        assert (await engine.answer([self.question], GREEDY)).stop_sequence is None

    async def test_tools(self, engine: Engine) -> None:
        """Tool definitions lengthen the prompt where the model is shown them, and are refused where it is not."""
        if not engine.can.tools:
            with pytest.raises(NotSupported):
                await engine.answer([self.question], GREEDY, [TOOL])
            return
        bare, shown = [await engine.answer([self.question], GREEDY, tools) for tools in ((), (TOOL,))]
        assert shown.prompt_tokens > bare.prompt_tokens
        with pytest.raises(BadRequest) as refused:
            await engine.answer([self.question], GREEDY, [{"type": "function", "function": {}}])
        assert refused.value.facts["field"] == "tools"

    async def test_complete(self, engine: Engine) -> None:
        """A raw text goes on: the same way each time when greedy, within the limit, ended by a stop sequence."""
        text = self.question.content
        if not engine.can.complete:
            with pytest.raises(NotSupported):
                await collect(engine.complete(text, GREEDY))
            return
        first, second = [await collect(engine.complete(text, GREEDY)) for _ in range(2)]
        assert first.text
        assert first.text == second.text
        assert first.prompt_tokens > 0
        assert 0 < first.completion_tokens <= GREEDY.max_tokens
        stop = first.text[len(first.text) // 2 :][:2]
        stopped = await collect(engine.complete(text, replace(GREEDY, stop=(stop,))))
        assert stopped.text == first.text[: first.text.index(stop)]
        if engine.can.logprobs:
            asked = await collect(engine.complete(text, replace(GREEDY, logprobs=2)))
            assert asked.text == first.text
            assert all(len(each.top) == 2 for each in asked.logprobs)
            assert 0 < len(asked.logprobs) <= asked.completion_tokens
        with pytest.raises(BadRequest):
            await collect(engine.complete(text, replace(GREEDY, max_tokens=0)))

    async def test_count(self, engine: Engine) -> None:
        """A prompt has as many tokens as an answer to it says, tools included."""
        if not engine.can.count:
            with pytest.raises(NotSupported):
                await engine.count([self.question])
            return
        answer = await engine.answer([self.question], GREEDY)
        assert await engine.count([self.question]) == answer.prompt_tokens
        if engine.can.tools:
            answer = await engine.answer([self.question], GREEDY, [TOOL])
            assert await engine.count([self.question], [TOOL]) == answer.prompt_tokens
        with pytest.raises(BadRequest):
            await engine.count([])

    async def test_whole_characters(self, engine: Engine) -> None:
        """No piece ends within a character: each survives being written as UTF-8 on its own."""
        pieces = [piece.text async for piece in engine.stream([self.letters], replace(GREEDY, max_tokens=64))]
        joined = "".join(pieces)
        assert "".join(piece.encode("utf-8").decode("utf-8") for piece in pieces) == joined
        assert joined == (await engine.answer([self.letters], replace(GREEDY, max_tokens=64))).text

    async def test_seed(self, engine: Engine) -> None:
        """The same seed gives the same answer; another seed, sooner or later, another."""
        if not engine.can.seed:
            pytest.skip("declared: seed is False")
        ask = [Message("user", "Several ways, please.")]
        warm = [
            (await engine.answer(ask, Sampling(max_tokens=24, temperature=1.0, seed=seed))).text
            for seed in (1, 1, 2, 3, 4, 5)
        ]
        assert warm[0] == warm[1]
        assert len(set(warm)) > 1

    async def test_logprobs(self, engine: Engine) -> None:
        """Log-probabilities are of generated tokens, at most 0, with the likeliest alternatives in order."""
        asked = replace(GREEDY, logprobs=3)
        if not engine.can.logprobs:
            with pytest.raises(NotSupported):
                await engine.answer([self.question], asked)
            return
        answer = await engine.answer([self.question], asked)
        assert 0 < len(answer.logprobs) <= answer.completion_tokens
        for each in answer.logprobs:
            assert each.logprob <= 0
            assert len(each.top) == 3
            assert list(each.top) == sorted(each.top, key=lambda pair: -pair[1])
            assert each.top[0][1] == pytest.approx(each.logprob)  # greedy takes the likeliest
        bare = await engine.answer([self.question], replace(GREEDY, logprobs=0))
        assert [each.top for each in bare.logprobs] == [()] * len(answer.logprobs)
        assert (await engine.answer([self.question], GREEDY)).logprobs == ()

    async def test_score(self, engine: Engine) -> None:
        """A text's score has one log-probability for each token after the first, the same every time."""
        texts = ["The quick brown fox.", "x"]
        if not engine.can.score:
            with pytest.raises(NotSupported):
                await engine.score(texts)
            return
        found = await engine.score(texts)
        assert [len(each.logprobs) for each in found] == [max(len(each.token_ids) - 1, 0) for each in found]
        assert all(value <= 0 for each in found for value in each.logprobs)
        assert await engine.score(texts) == found

    async def test_many_at_once(self, engine: Engine) -> None:
        """Concurrent questions each get the answer they would get alone."""
        asks = [[Message("user", f"Count to ten, round {n}.")] for n in range(6)]
        alone = [(await engine.answer(ask, GREEDY)).text for ask in asks]
        together: list[Answer] = await asyncio.gather(*(engine.answer(ask, GREEDY) for ask in asks))
        assert [answer.text for answer in together] == alone

    async def test_leaving(self, engine: Engine) -> None:
        """Leaving a stream cancels it, and the engine goes on answering."""
        expected = (await engine.answer([self.question], GREEDY)).text
        pieces: Any = engine.stream([self.question], GREEDY)
        async with aclosing(pieces):
            async for piece in pieces:
                assert isinstance(piece, Piece)
                break
        task = asyncio.create_task(engine.answer([self.question], GREEDY))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await engine.answer([self.question], GREEDY)).text == expected

    async def test_bad_requests(self, engine: Engine) -> None:
        """What cannot be asked is refused before anything runs, naming the field."""
        wrong: list[tuple[str, Any]] = [
            ("max_tokens", 0),
            ("temperature", -1.0),
            ("temperature", float("nan")),
            ("top_p", 0.0),
            ("stop", ("",)),
            ("logprobs", -1),
        ]
        for field, value in wrong:
            sampling = replace(GREEDY, **{field: value})
            with pytest.raises(BadRequest) as refused:
                await engine.answer([self.question], sampling)
            assert refused.value.facts["field"] == field
        with pytest.raises(BadRequest):
            await engine.answer([], GREEDY)

    async def test_build(self, engine: Engine) -> None:
        """What answers can be recorded as JSON, holds no surprise between two calls, and names its engine."""
        assert json.loads(json.dumps(engine.build.as_dict())) == engine.build.as_dict()
        assert engine.build == engine.build
        assert engine.build.engine

    async def test_close(self, engine: Engine) -> None:
        """A closed engine says that it is not alive and refuses to answer; closing again does no harm."""
        before = engine.alive
        await engine.close()
        await engine.close()
        assert (before, engine.alive) == (True, False)
        with pytest.raises(EngineDied):
            await engine.answer([self.question], GREEDY)
