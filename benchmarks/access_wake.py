"""wake_*: from a request to a sleeping resident to its first token, beside `from_pretrained` in a process old and new.

A random bf16 Qwen2 of half a billion parameters (its 0.5B's configuration; a byte-pair tokenizer learned from our own
documents), kept in a vault of one folder, referenced and calibrated by nothing but its own capture. Our side is the
residency as the gateway uses it: `App.awake`, then the first piece of a stream; load, verification and canary are in
it, HTTP is not. A cached wake rests on the verification noted at an earlier one, as the settings have it unasked
(docs/adr/0014); `cached_read`, reported beside, is the same with every byte read and verified at each wake. Theirs is
the libraries' own way: tokenizer, `from_pretrained`, `generate` of one token with the same prompt, in a process that
has done so before (warm), and in a new one. All in turns, the page cache warm.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from benchmarks.metric import Metric, Options
from emeritus.acts import Actor
from emeritus.app import App
from emeritus.engines.base import Message, Sampling
from emeritus.lifecycle.registration import Registration
from emeritus.settings import load as settings

ACTOR = Actor("benchmark", "steward", automated=True)
NAME = "sleeper"
PROMPT = "Please tell me in one short sentence what became of the old lighthouse."
ROUNDS = 7
LARGE = {"hidden_size": 896, "num_hidden_layers": 24, "intermediate_size": 4864, "vocab_size": 151_936}
SMALL = {"hidden_size": 128, "num_hidden_layers": 2, "intermediate_size": 256, "vocab_size": 8192}
TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
SPECIAL = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"]
# What the other side runs: one line in, one answer out, for as long as lines come; the first is a new process's.
THEIRS = """
import json, sys, time
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
torch.manual_seed(0)
for line in sys.stdin:
    given = json.loads(line)
    began = time.perf_counter()
    tokenizer = AutoTokenizer.from_pretrained(given["folder"])
    model = AutoModelForCausalLM.from_pretrained(given["folder"], dtype="auto")
    messages = [{"role": "user", "content": given["prompt"]}]
    asked = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    model.generate(**asked, max_new_tokens=1, do_sample=False)
    print(json.dumps({"seconds": time.perf_counter() - began, "tokens": asked["input_ids"].shape[1]}), flush=True)
    del model
"""


def measure(options: Options) -> list[Metric]:
    """All four, from the same rounds."""
    rounds = options.of(ROUNDS, 2)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "model"
        parameters = _make(folder, LARGE if options.scale >= 0.5 else SMALL)
        taken = _rounds(Path(work), folder, rounds)
    seconds = {name: statistics.median(each) for name, each in taken.items()}
    size = {"parameters": parameters, "rounds": rounds}
    spread = {f"{name}_s": f"{min(each):.3g}–{max(each):.3g}" for name, each in taken.items()}

    def metric(name: str, over: str, under: str, **bound: float) -> Metric:
        beside = {over: seconds[over], under: seconds[under], **size, **spread}
        return Metric(name, seconds[over] / seconds[under], beside=beside, **bound)

    return [
        metric("wake_cached_vs_warm_load", "cached", "warm", high=1.5),
        metric("wake_vault_vs_warm_load", "vault", "warm", high=3.5),
        metric("wake_cached_vs_new_process", "new", "cached", low=6.0),
        metric("wake_vault_vs_new_process", "new", "vault", low=3.0),
    ]


def _rounds(work: Path, folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds to the first token, by side."""
    taken: dict[str, list[float]] = {"cached": [], "cached_read": [], "vault": [], "warm": [], "new": []}
    sides: dict[str, Callable[[], float]] = {}
    _home(work / "home", folder)
    apps = {
        "cached": _app(work / "home", "cache"),
        "cached_read": _app(work / "home", "cache", cache_trust_s=0),
        "vault": _app(work / "home", "memory"),
    }
    with _Theirs(folder) as warm, asyncio.Runner() as runner:
        for way, app in apps.items():
            sides[way] = lambda app=app: runner.run(_wake(app))
        sides |= {"warm": lambda: warm.ask()["seconds"], "new": lambda: _new(folder)}
        try:
            for number in range(rounds + 1):
                for name, side in sides.items():
                    found = side()
                    if number:  # the first fills caches, and starts what stays
                        taken[name].append(found)
        finally:
            for app in apps.values():
                runner.run(app.close_residency())
                app.close()
    return taken


async def _wake(app: App) -> float:
    """From the request for a sleeping resident to the first token of its answer."""
    began = time.perf_counter()
    async with app.awake(NAME) as awake:
        sampling = Sampling(max_tokens=1, temperature=0.0, logprobs=0)
        async with aclosing(awake.stream([Message("user", PROMPT)], sampling)) as pieces:
            async for piece in pieces:
                if piece.logprobs or piece.finish_reason is not None:
                    break
            taken = time.perf_counter() - began
    await app.residency.sleep(NAME)
    return taken


def _home(home: Path, model: Path) -> None:
    """A home that keeps the model and its reference behaviour, so that every wake has its canary."""
    App.create(settings(home=home, second_coder="waived", second_decider="waived"), ACTOR, keep={"second_coder"})
    app = _app(home, "memory")
    app.retirement.take_in(Registration(NAME), model, ACTOR)

    async def capture() -> None:
        async with app.awake(NAME) as awake:
            await app.drills.capture_reference(NAME, awake, ACTOR)

    app.run(capture())
    app.close()


def _app(home: Path, loading: str, **chosen: float) -> App:
    """The home, its residents' weights taken that way."""
    return App.open(settings(home=home, loading=loading, **chosen))


class _Theirs:
    """A process that loads and answers as the libraries do, again and again."""

    def __init__(self, folder: Path) -> None:
        self._line = json.dumps({"folder": str(folder), "prompt": PROMPT}) + "\n"
        self._process = subprocess.Popen(
            [sys.executable, "-c", THEIRS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> _Theirs:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self) -> dict[str, Any]:
        """Load, and give the first token."""
        self._process.stdin.write(self._line)
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


def _new(folder: Path) -> float:
    """From the start of a process to its first token."""
    began = time.perf_counter()
    with _Theirs(folder) as fresh:
        fresh.ask()
        return time.perf_counter() - began


def _make(folder: Path, size: dict[str, int]) -> int:
    """A random model and its tokenizer; how many parameters it has."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    shape = {"num_attention_heads": 14 if size is LARGE else 4, "num_key_value_heads": 2, "tie_word_embeddings": True}
    network = Qwen2ForCausalLM(Qwen2Config(**size, **shape, dtype="bfloat16")).to(torch.bfloat16)
    network.save_pretrained(folder)
    tokenizer(8000).save_pretrained(folder)
    return sum(each.numel() for each in network.parameters())


def tokenizer(entries: int) -> Any:
    """Byte pairs learned from our own documents, with a template for conversations."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=entries,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train([str(each) for each in sorted((Path(__file__).parents[1] / "docs").glob("*.md"))], trainer)
    found = PreTrainedTokenizerFast(tokenizer_object=core, eos_token=SPECIAL[3], pad_token=SPECIAL[4])
    found.chat_template = TEMPLATE
    return found
