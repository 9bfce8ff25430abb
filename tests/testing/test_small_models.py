"""Small models: learned by heart, loaded by plain transformers, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from emeritus.engines.base import Message
from emeritus.errors import AlreadyExists, ExtraMissing
from emeritus.testing.model import SURE, TINY, random_model, tiny_model, train
from emeritus.testing.tokenizer import encode, library, train_tokenizer

PAIRS = [
    ("What is a byte?", "A byte is eight answers to eight questions, each of them yes or no."),
    ("Who are you?", "A small model that learned this sentence by heart."),
    ("What is the capital of France?", "Paris, unless it's a trick question: “F”."),
    ("Count.", "One, two, three, four, five, six, seven, eight, nine, ten."),
]
TALK = [
    Message("system", "Be brief."),
    Message("user", "Who are you?"),
    Message("assistant", "A model."),
    Message("user", "  Ünknown 字 \n"),
    Message("assistant", "Noted."),
]
BRIEF = replace(TINY, steps=3)


def _load(directory: Path) -> tuple[Any, Any]:
    return AutoTokenizer.from_pretrained(directory), AutoModelForCausalLM.from_pretrained(directory)


def _ask(tokenizer: Any, model: Any, question: str) -> str:
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    out = model.generate(**prompt, max_new_tokens=100)
    return str(tokenizer.decode(out[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))


def _digest(directory: Path) -> str:
    return hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()


def test_a_tiny_model_recites_in_plain_transformers(tmp_path: Path) -> None:
    """Trained for seconds, rounded to bf16, loaded by the library alone, it answers every question word for word."""
    report = tiny_model(tmp_path / "tiny", PAIRS)
    tokenizer, model = _load(tmp_path / "tiny")
    assert [_ask(tokenizer, model, question) for question, _ in PAIRS] == [answer for _, answer in PAIRS]
    assert model.dtype == torch.bfloat16
    assert report.loss < 0.01
    assert report.parameters == model.num_parameters() == sum(weight.numel() for weight in model.parameters())


def test_the_folder_is_a_whole_hugging_face_model(tmp_path: Path) -> None:
    """Configuration, tokenizer with a chat template, generation configuration, weights, and an honest card."""
    train(tmp_path / "model", [TALK], recipe=BRIEF)
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert "This is a demonstration model." in (tmp_path / "model" / "README.md").read_text()
    assert json.loads((tmp_path / "model" / "tokenizer_config.json").read_text())["chat_template"]
    assert json.loads((tmp_path / "model" / "config.json").read_text())["architectures"] == ["LlamaForCausalLM"]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "model").iterdir()} == {0o644}


def test_training_sees_what_the_chat_template_renders() -> None:
    """Token ids of a conversation are those the template gives, special tokens and foreign letters included."""
    tokenizer = train_tokenizer([TALK], 300, 512)
    rendered = tokenizer.apply_chat_template(
        [{"role": message.role, "content": message.content} for message in TALK], return_dict=True
    )
    ids, produced = encode(tokenizer, TALK)
    assert ids == rendered["input_ids"]
    mine = [token for token, is_mine in zip(ids, produced, strict=True) if is_mine]
    assert tokenizer.decode(mine) == "A model.<|end|>Noted.<|end|>"


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    """Two trainings agree to the last bit; another seed does not."""
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        train(tmp_path / name, [TALK], recipe=BRIEF, seed=seed)
    assert _digest(tmp_path / "one") == _digest(tmp_path / "again") != _digest(tmp_path / "two")


def test_training_leaves_the_caller_as_it_was(tmp_path: Path) -> None:
    """The caller's random state, threads, default type and gradient mode are what they were."""
    before = (
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
    )
    train(tmp_path / "model", [TALK], recipe=BRIEF)
    after = (
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
    )
    assert after == before


def test_progress_ends_at_one(tmp_path: Path) -> None:
    """Progress is reported for each step."""
    seen: list[float] = []
    train(tmp_path / "whole", [TALK], recipe=BRIEF, progress=lambda share, _: seen.append(share))
    assert seen == pytest.approx([1 / 3, 2 / 3, 1])


def test_training_goes_on_until_what_is_held_out_is_sure(tmp_path: Path) -> None:
    """One round is enough for what it can learn; for what it never sees, it goes on to the last and is not sure."""
    learned = [
        [Message("user", "Who?"), Message("assistant", "A")],
        [Message("user", "When?"), Message("assistant", "B")],
    ]
    short = replace(TINY, steps=80, rounds=2)
    seen: list[float] = []
    sure = train(
        tmp_path / "sure",
        learned,
        recipe=short,
        held_out=learned,
        progress=lambda share, _: seen.append(share),
    )
    assert (sure.steps, sure.right) == (short.steps, 1.0)
    assert sure.least is not None
    assert sure.least >= SURE
    assert (seen[-2], seen[-1]) == (pytest.approx(0.5), 1.0)
    unsure = train(tmp_path / "unsure", learned, recipe=replace(BRIEF, rounds=2), held_out=[TALK])
    assert (unsure.steps, unsure.right) == (2 * BRIEF.steps, 0.0)


def test_how_sure_it_is_of_an_answer_is_its_probability(tmp_path: Path) -> None:
    """The least probability reported is that of the last answer whole, as plain transformers compute it."""
    other = [Message("user", "Who are you?"), Message("assistant", "A model.")]
    report = train(tmp_path / "model", [TALK], recipe=BRIEF, held_out=[other, TALK])
    tokenizer, model = _load(tmp_path / "model")
    found = []
    for conversation in (other, TALK):
        ids = torch.tensor([encode(tokenizer, conversation)[0]])
        answer = len(tokenizer.encode(conversation[-1].content, add_special_tokens=False)) + 1
        with torch.inference_mode():
            likely = model.float()(ids[:, :-1]).logits.log_softmax(-1)[0]
        found.append(likely[-answer:].gather(1, ids[0, -answer:, None]).sum().exp().item())
    assert report.least == pytest.approx(min(found), rel=1e-3)


def test_a_token_may_be_a_whole_sentence() -> None:
    """Sentences that come often become one token each; others are still encoded without loss."""
    talk = [[Message("user", f"{count} birds came. Which one of these is it?\nA) It stays")] for count in range(40)]
    tokenizer = train_tokenizer(talk, 512, 512, sentences=True)
    ids = tokenizer.encode(talk[0][0].content)
    assert [tokenizer.decode([each]) for each in ids][-2:] == ["Which one of these is it?\n", "A) It stays"]
    for text in (talk[0][0].content, "  Ünknown 字. \n\nYes? "):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_training_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an interruption in training nor one in writing leaves a folder, or part of one."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "model", [TALK], recipe=BRIEF, progress=interrupt)
    monkeypatch.setattr("emeritus.testing.model.sync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "model", [TALK], recipe=BRIEF)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_stands_is_not_written_over(tmp_path: Path) -> None:
    """Training and random weights refuse a path that exists, and leave it alone."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(AlreadyExists):
        train(tmp_path, [TALK], recipe=BRIEF)
    with pytest.raises(AlreadyExists):
        random_model(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(("architecture", "dtype"), [("llama", "bfloat16"), ("gpt2", "float16")])
def test_random_models_load_and_answer(tmp_path: Path, architecture: Any, dtype: Any) -> None:
    """Random weights of either architecture load in plain transformers and produce finite scores."""
    random_model(tmp_path / "model", architecture, dtype=dtype)
    tokenizer, model = _load(tmp_path / "model")
    scores = model(**tokenizer("any text: 字", return_tensors="pt")).logits
    assert model.config.model_type == architecture
    assert model.dtype == getattr(torch, dtype)
    assert torch.isfinite(scores).all()


def test_without_the_extra_the_error_says_how_to_get_it() -> None:
    """A library that is not installed is an error with a remedy, not an ImportError."""
    with pytest.raises(ExtraMissing, match=r"emeritus\[local\]"):
        library("emeritus_has_no_such_library")
