"""Drills of a really trained model: a clean revival passes under every configuration, a changed one does not."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from scipy.stats import binom
from starlette.applications import Starlette
from starlette.routing import Mount

from emeritus.access.policy import Standing
from emeritus.acts import Act, Actor
from emeritus.app import App
from emeritus.engines import transformers, zygote
from emeritus.engines.base import Engine, Perturbation
from emeritus.engines.open import open_engine
from emeritus.gateway.app import build_gateway
from emeritus.gateway.backend import Limits
from emeritus.gateway.house import House
from emeritus.lifecycle.registration import Registration
from emeritus.preservation import behaviour, certificate, queries
from emeritus.preservation.calibration import ALPHA, MARGIN, ROUNDING, TOLERANCE, Threshold
from emeritus.reviving import OTHERWISE
from emeritus.settings import load as settings

ANA = Actor("ana")
NAME = "wren-1"


@dataclass(frozen=True)
class Files:
    """A folder that is said to hold these weights."""

    weights_digest: str
    path: Path

    def folder(self) -> Path:
        """It."""
        return self.path

    def folder_unproven(self) -> tuple[Path, Callable[[], None]]:
        """It, with nothing to compare it with."""
        return self.path, lambda: None

    def light_folder(self) -> Path:
        """It, though its weights are there."""
        return self.path

    def shared(self) -> None:
        """Never: the files are there."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, demo_model: Path) -> Iterator[App]:
    """A home that keeps the demonstration's model, its references and its calibration."""
    chosen = settings(home=tmp_path_factory.mktemp("drills") / "home", engine_threads=1)
    App.create(chosen, ANA, keep=set())
    opened = App.open(chosen)
    opened.retirement.take_in(Registration(NAME), demo_model, ANA)
    opened.run(opened.retirement.capture_reference(NAME, ANA))
    yield opened
    opened.close()


@asynccontextmanager
async def revived(app: App, folder: Path, threads: int = 1, **options: Any) -> AsyncIterator[Engine]:
    """An engine on a folder that claims to be what was preserved."""
    source = Files(app.vault.manifest(NAME).weights_digest or "", folder)
    logs = app.settings.home / "logs"
    engine = await open_engine("transformers", options, source, log_dir=logs, threads=threads)
    try:
        yield engine
    finally:
        await engine.close()


def changed(demo_model: Path, folder: Path, change: str) -> Path:
    """A copy of the model whose files were changed as if nobody had compared them."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(demo_model, folder)
    tensors = load_file(folder / "model.safetensors")
    random = torch.Generator().manual_seed(3)
    for name, tensor in tensors.items():
        if change == "noise":
            size = 1e-2 * tensor.float().square().mean().sqrt()
            tensors[name] = (tensor.float() + size * torch.randn(tensor.shape, generator=random)).to(tensor.dtype)
        elif change == "int8" and tensor.dim() == 2:
            step = tensor.float().abs().amax(dim=1, keepdim=True) / 127
            tensors[name] = ((tensor.float() / step).round() * step).to(tensor.dtype)
    if change == "zero":
        tensors["model.layers.1.mlp.down_proj.weight"].zero_()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def verdict(act: Act) -> str:
    """What the certificate says."""
    return str(act.public["detail"]["verdict"])


def test_two_configurations_were_captured_and_calibrated(app: App) -> None:
    """The second computes attention another way, is asleep afterwards, and lies within the draws' margin."""
    with app.database.reading() as session:
        kept = queries.preservation(session, NAME)
    second, first = kept.references
    assert (first.build["config"]["attention"], second.build["config"]["attention"]) == ("sdpa", "eager")
    (made,) = kept.calibrations
    assert (made.method, made.false_alarm_rate) == ("score", ALPHA)
    assert set(made.build_digests) == {first.build_digest, second.build_digest}
    assert OTHERWISE not in NAME


def test_a_clean_revival_passes_and_is_certified(app: App) -> None:
    """Every file bit for bit, the same configuration to the bit, the other one within rounding."""
    act = app.run(app.retirement.drill(NAME, ANA))
    assert act.public["ok"] is True
    said = certificate.read(act.read(certificate.FILE), app.ledger.verify_key)
    assert (said["verdict"], said["weights"]["identical"]) == (certificate.SAME, True)
    same, other = said["behaviour"]
    assert (same["test"], same["logprob_difference"]["largest"]) == ("tolerance", 0.0)
    assert (other["test"], other["false_alarm_rate"]) == ("calibrated", ALPHA)
    assert 0 < other["logprob_difference"]["mean"] < said["calibration"]["threshold"]["mean"]
    power = {(each["change"], each["size"]): each["noticed"] / each["draws"] for each in said["calibration"]["power"]}
    assert [power["noise", size] for size in (1e-4, 1e-3, 1e-2)] == [1.0, 1.0, 1.0]
    assert (power["zero", 0.0], power["int8", 0.0]) == (1.0, 1.0)
    assert power["flip", 0.0] > 0.5  # some bits change a weight by nothing that any of the probes could show


@pytest.mark.parametrize("change", ["noise", "int8", "zero"])
async def test_a_changed_revival_fails_even_under_a_configuration_nobody_saw(
    app: App, demo_model: Path, tmp_path: Path, change: str
) -> None:
    """Files that were swapped under the engine are noticed by behaviour alone, at the next wake already."""
    from emeritus.errors import CanaryFailed

    folder = changed(demo_model, tmp_path / "swapped", change)
    async with revived(app, folder, onednn=True) as engine:
        with pytest.raises(CanaryFailed):
            await app.drills.canary(NAME, engine)
        act = await app.drills.drill(NAME, engine, ANA)
    assert verdict(act) == certificate.DIFFERS
    assert [each["test"] for each in act.public["detail"]["behaviour"]] == ["calibrated", "calibrated"]


async def test_no_word_of_a_changed_model_leaves_the_gateway(
    app: App, demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Awake it answers; woken once more with other weights it is refused, whole and streamed, before a word is said."""
    app.access.set_tier(NAME, Standing("on-demand", "open"), "a test", ANA)
    gateway = Starlette(routes=[Mount("/v1", app=build_gateway(House(app, ""), Limits.of(app.settings)))])
    asked = {"model": NAME, "messages": [{"role": "user", "content": "What is your name?"}], "temperature": 0}
    folder = changed(demo_model, tmp_path / "swapped", "zero")
    digest = app.vault.manifest(NAME).weights_digest or ""
    weights, woken = demo_model, list[Path]()

    async def opened(_name: str) -> Engine:
        woken.append(weights)
        return await open_engine("transformers", {}, Files(digest, weights), log_dir=tmp_path, threads=1)

    monkeypatch.setattr(app.reviving, "open_engine", opened)
    await app.reviving.close()
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://house") as client:

            async def ask(**more: object) -> httpx.Response:
                return await client.post("/v1/chat/completions", json=asked | more, timeout=60)

            answer = (await ask()).json()
            assert answer["choices"][0]["message"]["content"]
            await app.reviving.residency.sleep(NAME)
            weights = folder
            refused = await ask()
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "EM406")
            await asyncio.sleep(1.2)  # the pause after a failed load is over: the stream has it woken again
            streamed = await ask(stream=True)
            assert '"code":"EM406"' in streamed.text
            assert "delta" not in streamed.text
            assert woken == [demo_model, folder, folder]
    finally:
        await app.reviving.close()


async def test_configurations_nobody_saw_raise_no_alarm(app: App, demo_model: Path) -> None:
    """Threads, switch, type and attention in combinations that were not captured: none is called a change."""
    for options, threads in (({"onednn": True}, 2), ({"attention": "eager"}, 1), ({"dtype": "float32"}, 2)):
        async with revived(app, demo_model, threads, **options) as engine:
            await app.drills.canary(NAME, engine)
            act = await app.drills.drill(NAME, engine, ANA)
        assert verdict(act) == certificate.SAME, options
        assert {each["test"] for each in act.public["detail"]["behaviour"]} == {"calibrated"}


async def test_an_update_to_other_kernels_compares(app: App, demo_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another instruction set changes bits everywhere, as a new version of the library does; a drill still compares."""
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    updated = zygote.Zygote()
    monkeypatch.setattr(transformers.zygote, "shared", lambda: updated)
    try:
        async with revived(app, demo_model) as engine:
            assert engine.build.config["instruction_set"] == "DEFAULT"
            await app.drills.canary(NAME, engine)
            act = await app.drills.drill(NAME, engine, ANA)
    finally:
        updated.stop()
    assert verdict(act) == certificate.SAME
    found = act.public["detail"]["behaviour"]
    assert all(0 < each["logprob_difference"]["largest"] < 1e-3 for each in found)


async def test_draws_of_rounding_not_calibrated_with_are_alarms_at_the_stated_rate(app: App, demo_model: Path) -> None:
    """Fresh draws, as coarse as the margin allows, against the reference of the other configuration."""
    with app.database.reading() as session:
        kept = queries.preservation(session, NAME)
    made = json.loads(app.acts.payload(kept.calibrations[0].payload_sha256))
    other = json.loads(app.acts.payload(kept.references[0].payload_sha256))
    limit, probed, alarms, trials = Threshold(**made["threshold"]), behaviour.probes(), 0, 60
    changes = [Perturbation("rounding", MARGIN * ROUNDING, 1000 + seed) for seed in range(trials)]
    async with revived(app, demo_model) as engine:
        perturbable: Any = engine
        async for scores in perturbable.perturbed(list(probed.texts.values()), changes):
            pairs = zip(probed.texts, scores, strict=True)
            found = behaviour.difference([(other["scored"][key]["logprobs"], each.logprobs) for key, each in pairs])
            alarms += not limit.holds(found)
    assert alarms <= binom.isf(1e-4, trials, ALPHA)


def test_the_threshold_lies_between_rounding_and_the_least_change_it_must_notice(app: App) -> None:
    """Guards the order of magnitude: a threshold of a hundredth of a nat would pass every other test here."""
    with app.database.reading() as session:
        (made,) = queries.preservation(session, NAME).calibrations
    limit = app.acts.find(made.source.act).public["threshold"]
    assert limit["mean"] < TOLERANCE
    assert limit["largest"] < 20 * TOLERANCE
