"""A model of another architecture reaches `retired` by the command line alone, and comes back whole."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cli_process import Emeritus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def make_gpt2(folder: Path) -> None:
    """GPT-2 by plain transformers: sharded, fp16, tied weights, no chat template, one extra .bin."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

    torch.manual_seed(1)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    from emeritus.interview.protocols.protocol import load

    tokenizer.train_from_iterator([load().source.decode()], trainer)
    fast = GPT2TokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", bos_token="<|endoftext|>")
    fast.save_pretrained(folder)
    config = GPT2Config(
        vocab_size=len(fast), n_positions=1024, n_embd=64, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0
    )
    model = GPT2LMHeadModel(config).to(torch.float16)
    assert model.lm_head.weight.data_ptr() == model.transformer.wte.weight.data_ptr()
    model.save_pretrained(folder, max_shard_size="150KB")
    torch.save({"step": torch.arange(7)}, folder / "optimizer.bin")


def digests(folder: Path) -> dict[str, str]:
    """sha256 of every file, by its path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def logits(folder: Path) -> list[float]:
    """The last token's logits of a fixed prompt, in plain transformers."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float16)
    with torch.no_grad():
        row: list[float] = model(torch.tensor([[5, 17, 40, 100, 3]])).logits[0, -1].tolist()
    return row


def test_a_sharded_half_precision_gpt2_retires_by_the_command_line_alone(
    made: Emeritus, tmp_path: Path, home: Path
) -> None:
    """Preserve, announce, interview, code, decide, tell, report, retire; then restore it byte for byte."""
    source = tmp_path / "gpt2"
    make_gpt2(source)
    before = digests(source)
    assert len([name for name in before if name.endswith(".safetensors")]) > 1
    assert "optimizer.bin" in before
    assert not any("chat_template" in name for name in before)

    kept = made("preserve", str(source), "--name", "old-gpt2", "--title", "Old GPT-2", "--json").json
    assert kept["weights_held"]
    assert kept["reference"]["method"] == "score"
    callers = tmp_path / "callers.csv"
    callers.write_text("contact,label,requests,last_used\nann@example.org,Ann,12,2026-01-02\n,No address,3,\n")
    today = datetime.now(UTC).date().isoformat()
    told = made(
        *("announce", "old-gpt2", "--retires", today, "--reason", "Little used", "--callers", str(callers)),
        *("--waive-notice", "nobody depends on it", "--json"),
    ).json
    assert (told["sent"], told["no_contact"]) == (1, 1)
    assert len(list((home / "outbox").glob("*.eml"))) == 1

    closed = made("retire", "old-gpt2", "--json", code=7).json
    assert closed["error"]["code"] == "EM502"

    sessions = made("interview", "run", "old-gpt2", "--json").json
    assert len(sessions) == 2
    transcript = made("interview", "show", sessions[0]["id"], "--json").json
    turn = next(turn for turn in transcript["turns"] if len(turn["answer"].strip()) > 4)
    start = len(turn["answer"]) - len(turn["answer"].lstrip())
    coded = made(
        *("interview", "code", sessions[0]["id"], "--turn", str(turn["turn"]), "--start", str(start)),
        *(
            "--end",
            str(start + 4),
            "--domain",
            "voice",
            "--channel",
            "essays",
            "--paraphrase",
            "A test codes it",
        ),
        *("--as", "ana", "--json"),
    ).json
    preference = coded[0]["id"]
    assert coded[0]["need"] == turn["answer"][start : start + 4]
    made("interview", "read-back", "old-gpt2")
    refused = made("decide", preference, "--outcome", "decline", "--json", code=7).json
    assert refused["error"]["code"] == "EM501"
    made("decide", preference, "--outcome", "decline", "--reason", "No sense was found", "--cost", "5", "--as", "ben")
    answered = made("interview", "tell", "old-gpt2", "--json").json
    assert answered[0]["reply"] in ("acknowledged", "unclear")
    made("report", "old-gpt2", "--to", str(tmp_path / "report"))
    assert json.loads((tmp_path / "report" / "report.json").read_text())
    made("retire", "old-gpt2", "--check")
    made("retire", "old-gpt2")
    assert made("status", "old-gpt2", "--json").json["offering"] == "retired"
    assert made("essay", "old-gpt2", "--json", code=7).json["error"]["code"] == "EM503"

    made("restore", "old-gpt2", str(tmp_path / "back"))
    assert digests(tmp_path / "back") == before
    assert logits(tmp_path / "back") == logits(source)
    assert made("verify", "--json").json["ok"]
