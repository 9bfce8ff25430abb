"""A home of small models that tell themselves apart: one random base, and residents whose last layer is their own.

Real files in a real vault, a grant and a key for all of them. Whoever is to be called has a reference behaviour (so
that every wake has its canary) and a sign: what it says first to `PROMPT`. No two have the same.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROMPT = "Please tell me what became of the old lighthouse, who kept it, and what the ships did when it went dark."
SIGN_TOKENS = 12  # of an answer's beginning; enough to tell residents apart
SIZE = {"hidden_size": 128, "num_hidden_layers": 4, "intermediate_size": 384, "vocab_size": 4096}
OPTIONS = {"at_once": 4}  # of every engine
LEARNED = 3800  # entries of the tokenizer


@dataclass(frozen=True, slots=True)
class Fleet:
    """A home and whom it keeps. `signs`: how the answer of each that is called begins; `key`: for the API."""

    home: Path
    key: str
    signs: dict[str, str]
    stored: int  # bytes in the vault
    each: int = 0  # bytes of one resident's weights
    scripted: tuple[str, ...] = field(default=())


def prepare(
    home: Path,
    embedded: Sequence[str],
    scripted: dict[str, dict[str, Any]] | None = None,
    called: Collection[str] | None = None,
) -> Fleet:
    """Make the home in a process of its own, so that nothing of the making stays in this one.

    `called`: which of the embedded ones are to be called; None: all of them.
    """
    context = multiprocessing.get_context("spawn")
    names = [name for name in embedded if called is None or name in called]
    process = context.Process(target=_make, args=(str(home), list(embedded), scripted or {}, names))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the home could not be made: status {process.exitcode}")
    found = json.loads((home / "fleet.json").read_text())
    return Fleet(home, found["key"], found["signs"], found["stored"], found["each"], tuple(scripted or {}))


def _make(home: str, embedded: list[str], scripted: dict[str, dict[str, Any]], called: list[str]) -> None:
    from emeritus.access.policy import Standing
    from emeritus.access.service import Terms
    from emeritus.acts import Actor
    from emeritus.app import App
    from emeritus.lifecycle.registration import Registration
    from emeritus.settings import load

    root, actor = Path(home), Actor("benchmark", "steward", automated=True)
    settings = load(home=root, second_coder="waived", second_decider="waived", engine_threads=1, loading="cache")
    App.create(settings, actor, keep={"second_coder"})
    app = App.open(settings)
    folder = root.parent / "making"
    try:
        if embedded:
            variants = Variants(folder)
            for number, name in enumerate(embedded):
                variants.write(number)
                app.retirement.take_in(Registration(name, options=OPTIONS), folder, actor)
        for name, options in scripted.items():
            app.lifecycle.register(Registration(name, engine="scripted", options=options, weights_held=False), actor)
        for name in (*embedded, *scripted):
            app.access.set_tier(name, Standing("on-demand", "entitled"), "benchmark", actor)
        key = app.access.issue_key(app.access.grant("*", "benchmark", Terms(), "benchmark", actor))
        signs = app.run(_captured(app, called, actor))
        if len(set(signs.values())) < len(called):
            raise RuntimeError("two residents begin their answers alike: their answers cannot tell them apart")
        each = app.vault.manifest(embedded[0]).total_bytes if embedded else 0
    finally:
        app.close()
        shutil.rmtree(folder, ignore_errors=True)
    stored = sum(file.stat().st_size for file in (root / "vault").rglob("*") if file.is_file())
    (root / "fleet.json").write_text(json.dumps({"key": key, "signs": signs, "stored": stored, "each": each}))


async def _captured(app: Any, names: Sequence[str], actor: Any) -> dict[str, str]:
    """Each one's reference, as calibration finds it; and its sign."""
    from emeritus.engines.base import Message, Sampling

    signs: dict[str, str] = {}

    async def one(name: str) -> None:
        async with app.awake(name) as awake:
            await app.drills.capture_reference(name, awake, actor)
            asked = [Message("user", PROMPT)]
            answer = await awake.answer(asked, Sampling(max_tokens=SIGN_TOKENS, temperature=0.0))
            if answer.completion_tokens < SIGN_TOKENS:
                raise RuntimeError(f"{name} ends its answer too early to be told by it")
            signs[name] = answer.text.rstrip("\N{REPLACEMENT CHARACTER}")
        await app.residency.sleep(name)

    for pair in zip(names[::2], [*names[1::2], ""], strict=False):
        await asyncio.gather(*(one(name) for name in pair if name))
    await app.close_residency()
    return signs


class Variants:
    """A folder that holds one variant after the other: a shared base, a last layer of its own."""

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import Qwen2Config, Qwen2ForCausalLM
        from transformers.utils.logging import disable_progress_bar

        from benchmarks.access_wake import tokenizer

        disable_progress_bar()
        torch.manual_seed(0)
        shape = {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True}
        config = Qwen2Config(**SIZE, **shape, dtype="bfloat16", eos_token_id=None, bos_token_id=None)
        self._network = Qwen2ForCausalLM(config).to(torch.bfloat16)
        self._folder = folder
        folder.mkdir()
        tokenizer(LEARNED).save_pretrained(folder)

    def write(self, number: int) -> None:
        """That variant, in the folder."""
        import torch

        chance = torch.Generator().manual_seed(number + 1)
        with torch.no_grad():
            for parameter in self._network.model.layers[-1].mlp.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=chance) * 0.3)
        self._network.save_pretrained(self._folder)
