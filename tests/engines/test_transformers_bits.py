"""The embedded engine gives plain transformers' bits, whatever the folder holds; what changes them is said."""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from embedded import ASK, opened
from tiny_models import FolderSource

from emeritus.engines.base import Answer, Perturbation, Sampling
from emeritus.engines.open import open_engine, other_configuration
from emeritus.engines.prompt import neutral


async def test_another_configuration_computes_the_same_in_another_order(llama: FolderSource, tmp_path: Path) -> None:
    """Another attention, other threads, the other switch: other last bits of a score, and the build says which."""
    first = await opened(llama, tmp_path)
    options, threads = other_configuration("transformers", {"dtype": "auto"}, first.build) or ({}, 0)
    second = await open_engine("transformers", options, llama, log_dir=tmp_path / "logs", threads=threads)
    assert (first.build.config["attention"], second.build.config["attention"]) == ("sdpa", "eager")
    assert (second.build.config["threads"], second.build.config["onednn"]) == (2, True)
    text = ["The lamp is lit at eight, and the boats come in by nine."]
    (one,), (other,) = await first.score(text), await second.score(text)
    assert one.token_ids == other.token_ids
    assert 0 < max(abs(a - b) for a, b in zip(one.logprobs, other.logprobs, strict=True)) < 1e-4
    await first.close()
    await second.close()


async def test_a_flipped_bit_is_one_of_the_stored_exponent(llama: FolderSource, gpt2: FolderSource) -> None:
    """One weight changes, by a power of two or to or from zero, infinity or no number; in bf16 and in fp16."""
    import torch

    from emeritus.engines.loading import load
    from emeritus.engines.perturbing import Perturbed

    for source in (llama, gpt2):
        network = load(source.path, "auto").network
        clean = [each.detach().float() for each in network.parameters()]
        copy = Perturbed(network)
        for seed in range(20):
            copy.become(Perturbation("flip", seed=seed))
            pairs = zip(clean, copy.network.parameters(), strict=True)
            changed = [(a[a != b], b.detach()[a != b]) for a, b in pairs if not torch.equal(a, b.detach())]
            assert len(changed) == 1
            before, after = (float(each) for each in changed[0])
            assert not math.isfinite(after) or 0 in (before, after) or before * after > 0
            if math.isfinite(after) and min(abs(before), abs(after)) > 1e-4:
                assert math.log2(after / before) == round(math.log2(after / before))


class Plain:
    """Plain transformers, in this process, with the worker's switches: what the engine must equal."""

    def __init__(self, source: FolderSource, dtype: str = "auto") -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        torch.backends.mkldnn.set_flags(False)  # for the rest of this process: the worker's default
        self.model: Any = AutoModelForCausalLM.from_pretrained(source.path, dtype=dtype)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(source.path)

    def generate(self, text: str, tokens: int) -> tuple[str, list[float]]:
        """Greedy text and each token's log-probability."""
        import torch

        ids = self.tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
        out = self.model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=tokens,
            do_sample=False,
            return_dict_in_generate=True,
            output_logits=True,
        )
        new = out.sequences[0, ids.shape[1] :]
        chosen = [
            float(torch.log_softmax(step[0].float(), -1)[token])
            for step, token in zip(out.logits, new, strict=True)
            if int(token) != self.tokenizer.eos_token_id
        ]
        return self.tokenizer.decode(new, skip_special_tokens=True), chosen


@pytest.mark.parametrize("name", ["llama", "gpt2"])
async def test_bits_are_plain_transformers(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Greedy text and every log-probability equal `generate`'s exactly, from weights that stayed mapped."""
    source: FolderSource = request.getfixturevalue(name)
    plain = Plain(source)
    chat = plain.tokenizer.chat_template is not None
    turns = [{"role": each.role, "content": each.content} for each in ASK]
    prompt = (
        plain.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) if chat else neutral(ASK)
    )
    expected, logprobs = plain.generate(prompt, 48)
    engine = await opened(source, tmp_path)
    answer: Answer = await engine.answer(ASK, Sampling(max_tokens=48, temperature=0.0, logprobs=0))
    build = engine.build
    await engine.close()
    assert answer.text == expected
    assert [each.logprob for each in answer.logprobs] == logprobs
    assert build.config["loading"] == "mapped"
    assert build.config["dtype"] == {"llama": "bfloat16", "gpt2": "float16"}[name]
    assert build.config["template"] == ("model" if chat else "roles-1")
    assert build.weights_digest == source.weights_digest
    assert {"torch", "transformers", "tokenizers", "python"} <= build.versions.keys()


@pytest.mark.parametrize("name", ["llama", "gpt2"])
async def test_scores_are_fp32(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Scores are one fp32 pass of plain transformers, not of the stored type."""
    import torch

    source: FolderSource = request.getfixturevalue(name)
    text = "Every weight is kept."
    engine = await opened(source, tmp_path)
    [found] = await engine.score([text])
    await engine.close()

    def plain(dtype: str) -> list[float]:
        reference = Plain(source, dtype)
        ids = reference.tokenizer(text, return_tensors="pt")["input_ids"]
        assert tuple(ids[0].tolist()) == found.token_ids
        with torch.inference_mode():
            logprobs = torch.log_softmax(reference.model(ids).logits[0, :-1].float(), -1)
        return [float(row[token]) for row, token in zip(logprobs, ids[0, 1:], strict=True)]

    assert found.logprobs == pytest.approx(plain("float32"), abs=1e-6)
    assert found.logprobs != pytest.approx(plain("auto"), abs=1e-4)


async def test_pytorch_bin(llama: FolderSource, tmp_path: Path) -> None:
    """Weights in a format that cannot be mapped go through `from_pretrained`, with the same answer."""
    import torch
    from safetensors.torch import load_file

    folder = tmp_path / "bin"
    shutil.copytree(llama.path, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    mapped, other = await opened(llama, tmp_path), await opened(FolderSource(folder), tmp_path)
    assert other.build.config["loading"] == "from_pretrained"
    asked = Sampling(max_tokens=24, temperature=0.0, logprobs=2)
    assert await mapped.answer(ASK, asked) == await other.answer(ASK, asked)
    await mapped.close()
    await other.close()


@pytest.mark.parametrize("name", ["llama", "gpt2"])
async def test_dtype_option(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Computing in another type than the stored one is possible, tied weights too, and the build says so."""
    engine = await opened(request.getfixturevalue(name), tmp_path, dtype="float32")
    assert engine.build.config["dtype"] == "float32"
    assert engine.build.config["loading"] == "from_pretrained"
    await engine.close()
