"""References, drills and the canary over a real ledger, with a resident that does sums: each outcome recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kept_folders import FolderKeeper, Mind
from sqlalchemy import select

from emeritus.engines.base import Build, Capabilities
from emeritus.errors import CanaryFailed, EngineFailed, NotFound
from emeritus.preservation import certificate
from emeritus.preservation.behaviour import Json, build_digest, probes
from emeritus.preservation.calibrating import Gathering
from emeritus.preservation.calibration import ALPHA, TOLERANCE, unequal_answers
from emeritus.preservation.drills import Drills
from emeritus.preservation.service import Preservation
from emeritus.records.tables import AxisEvent, Calibration, Certificate, Check, Reference
from feature_home import STEWARD, FeatureHome


async def test_a_reference_is_captured_once_for_each_configuration(
    home: FeatureHome, drills: Drills, keeper: FolderKeeper, mind: Mind
) -> None:
    """Equal builds find the first capture; another build adds one, and the vault keeps both beside each other."""
    act = await drills.capture_reference("wren", mind, STEWARD)
    assert (await drills.capture_reference("wren", mind, STEWARD)).id == act.id
    assert mind.scored == len(probes().texts)
    other = Mind(build=Build("arithmetic", config={"threads": 2}, weights_digest="d" * 64))
    await drills.capture_reference("wren", other, STEWARD)
    rows = home.read(select(Reference).order_by(Reference.id))
    assert [(row.method, row.probes) for row in rows] == [("score", 12), ("score", 12)]
    assert [row.build_digest for row in rows] == [build_digest(mind.build), build_digest(other.build)]
    kept = keeper.kept("wren", "reference", 2)
    assert {path.name for path in kept.iterdir()} == {f"{row.build_digest}.json" for row in rows}
    for row in rows:
        assert (kept / f"{row.build_digest}.json").read_bytes() == home.acts.payload(row.payload_sha256)


async def test_a_reference_after_an_update_says_how_far_it_lies_from_the_one_before(drills: Drills) -> None:
    """The first is compared with nothing; the next states the difference of each token and of the greedy answers."""
    first = await drills.capture_reference("wren", Mind(build=Build("arithmetic", weights_digest="d" * 64)), STEWARD)
    assert "compared" not in first.public
    updated = Mind(build=Build("arithmetic", config={"kernel": "new"}, weights_digest="d" * 64), shift=0.25)
    act = await drills.capture_reference("wren", updated, STEWARD)
    found = act.public["compared"]
    assert found["reference_sha256"] == first.payloads["reference.json"]
    assert found["build_digest"] == first.public["build_digest"]
    assert (found["same_weights"], found["method"], found["retokenised"]) == (True, "score", [])
    assert found["logprob_difference"]["mean"] == pytest.approx(0.25)
    assert found["answers"] == found["answers_equal"] > 0


async def test_a_model_held_elsewhere_keeps_its_behaviour(
    home: FeatureHome, drills: Drills, keeper: FolderKeeper
) -> None:
    """Without scores the greedy answers are the reference, and the axis says 'behaviour only'."""
    remote = Mind(build=Build("upstream"), can=Capabilities())
    await drills.capture_reference("robin", remote, STEWARD)
    (row,) = home.read(select(Reference))
    assert (row.method, row.probes) == ("greedy", len(probes().chats))
    assert [(event.state, event.resident) for event in home.read(select(AxisEvent))] == [("behaviour only", "robin")]
    assert json.loads(home.acts.payload(row.payload_sha256))["scored"] is None
    assert keeper.kept("robin", "reference").exists()


async def test_a_capture_without_finite_scores_is_refused(home: FeatureHome, drills: Drills, mind: Mind) -> None:
    """A broken model's infinities become no reference."""
    mind.shift = float("-inf")
    with pytest.raises(EngineFailed, match="no finite number"):
        await drills.capture_reference("wren", mind, STEWARD)
    with pytest.raises(NotFound):
        await drills.capture_reference("owl", Mind(), STEWARD)
    assert home.read(select(Reference)) == []


Revive = Callable[..., Mind]


@pytest.fixture
def revive(preservation: Preservation, keeper: FolderKeeper, model: Path) -> Revive:
    """Revives `wren`, whose files are kept, with what is said to be changed."""
    preservation.preserve("wren", model, STEWARD)
    digest = keeper.manifest("wren").weights_digest

    def mind(config: dict[str, object] | None = None, **change: Any) -> Mind:
        return Mind(build=Build("arithmetic", config=config or {}, weights_digest=digest), **change)

    return mind


async def calibrate(drills: Drills, revive: Revive, apart: float = 2e-6) -> Json:
    """References of two configurations `apart` nats apart, and the calibration between them."""
    first, second = revive(), revive({"kernel": "other"}, shift=apart)
    for mind in (first, second):
        await drills.capture_reference("wren", mind, STEWARD)
    act = await drills.calibrate("wren", first, second.build, STEWARD, Gathering())
    assert act is not None
    again = await drills.calibrate("wren", first, second.build, STEWARD, Gathering())
    assert again is not None
    assert again.id == act.id
    return json.loads(act.read("calibration.json"))


@pytest.mark.parametrize(
    ("change", "ok"),
    [
        ({}, True),
        ({"shift": TOLERANCE * 0.9}, True),
        ({"shift": TOLERANCE * 1.1}, False),
        ({"shift": float("nan")}, None),
        ({"extra_token": True}, False),
        ({"tail": "!"}, True),  # equal scores decide; unequal greedy answers are stated beside them
    ],
)
async def test_a_drill_records_its_figures_good_or_bad(
    home: FeatureHome, drills: Drills, revive: Revive, change: dict[str, Any], ok: bool | None
) -> None:
    """Within the tolerance is good, beyond it is bad, both are on record; what cannot be compared raises."""
    await drills.capture_reference("wren", revive(), STEWARD)
    revived = revive(**change)
    if ok is None:
        with pytest.raises(EngineFailed):
            await drills.drill("wren", revived, STEWARD)
        return
    act = await drills.drill("wren", revived, STEWARD)
    (check,) = home.read(select(Check))
    assert (act.public["ok"], check.ok, check.kind) == (ok, ok, "drill")
    (found,) = check.detail["behaviour"]
    assert found["answers_equal"] == (0 if "tail" in change else len(probes().chats))
    if "shift" in change:
        assert found["logprob_difference"]["largest"] == pytest.approx(change["shift"], rel=1e-6)
    assert ("other tokens" in found["summary"]) == ("extra_token" in change)
    assert check.detail["weights"]["identical"] is True


@pytest.mark.parametrize("damage", ["file", "digest"])
async def test_a_drill_compares_every_file_bit_for_bit(
    drills: Drills, revive: Revive, keeper: FolderKeeper, damage: str
) -> None:
    """Equal behaviour does not hide a changed file, nor that other weights answer than those that are kept."""
    await drills.capture_reference("wren", revive(), STEWARD)
    revived = revive()
    if damage == "file":
        (keeper.kept("wren") / "config.json").write_text("[]")
    else:
        versions = keeper.sets["wren", "weights"]
        versions[-1] = replace(versions[-1], weights_digest="e" * 64)
    act = await drills.drill("wren", revived, STEWARD)
    assert act.public["ok"] is False
    assert act.public["detail"]["verdict"] == certificate.LOST
    assert ("config.json" if damage == "file" else "those kept e") in act.public["summary"]


async def test_a_drill_by_answers_needs_every_answer_equal(home: FeatureHome, drills: Drills, revive: Revive) -> None:
    """Where nothing can be scored and nothing is calibrated, one other answer is a difference."""
    unscored = Capabilities(logprobs=False)
    await drills.capture_reference("wren", revive(can=unscored), STEWARD)
    assert (await drills.drill("wren", revive(can=unscored), STEWARD)).public["ok"] is True
    assert (await drills.drill("wren", revive(can=unscored, tail="!"), STEWARD)).public["ok"] is False
    with pytest.raises(CanaryFailed):
        await drills.canary("wren", revive(can=unscored, tail="!"))


async def test_answers_that_are_not_always_repeated_are_calibrated(home: FeatureHome, drills: Drills) -> None:
    """A remote API's own unsteadiness sets how many other answers are a change, and a drill of it says what it is."""
    robin = {"build": Build("upstream"), "can": Capabilities()}
    await drills.capture_reference("robin", Mind(**robin), STEWARD)
    act = await drills.calibrate("robin", Mind(**robin), None, STEWARD, Gathering())
    assert act is not None
    assert act.public["threshold"] == {"unequal_answers": unequal_answers(10, 0, 5)}
    assert act.public["threshold"]["unequal_answers"] == 3
    good = await drills.drill("robin", Mind(**robin), STEWARD)
    assert good.public["ok"] is True
    said = certificate.read(good.read(certificate.FILE), home.ledger.verify_key)
    assert said["weights"] is None
    assert "weights are not held" in said["limits"][0]
    assert said["behaviour"][0]["false_alarm_rate"] == ALPHA
    assert (await drills.drill("robin", Mind(**robin, tail="!"), STEWARD)).public["ok"] is False


async def test_a_drill_without_its_reference_is_refused(drills: Drills, revive: Revive) -> None:
    """A configuration nobody saw, without a calibration that could say how far it may lie from the others."""
    await drills.capture_reference("wren", revive(), STEWARD)
    with pytest.raises(NotFound, match="engine configuration"):
        await drills.drill("wren", revive({"kernel": "new"}), STEWARD)


async def test_after_an_update_a_drill_compares_with_both_references(drills: Drills, revive: Revive) -> None:
    """A configuration nobody saw passes within the calibrated threshold and fails beyond it, at a stated rate."""
    made = await calibrate(drills, revive)
    assert made["null"]["source"] == "texts"
    limit = made["threshold"]["mean"]
    good = await drills.drill("wren", revive({"kernel": "new"}, shift=limit / 2), STEWARD)
    bad = await drills.drill("wren", revive({"kernel": "new"}, shift=limit * 2), STEWARD)
    assert (good.public["ok"], bad.public["ok"]) == (True, False)
    for act in (good, bad):
        found = act.public["detail"]["behaviour"]
        assert [each["same_configuration"] for each in found] == [False, False]
        assert [each["test"] for each in found] == ["calibrated", "calibrated"]
        assert {each["false_alarm_rate"] for each in found} == {ALPHA}
    assert bad.public["detail"]["verdict"] == certificate.DIFFERS


async def test_after_an_update_the_canary_compares_too(home: FeatureHome, drills: Drills, revive: Revive) -> None:
    """A wake under a configuration nobody saw is held against the calibrated threshold before an answer leaves."""
    made = await calibrate(drills, revive)
    size, limit = home.ledger.size, made["threshold"]["mean"]
    await drills.canary("wren", revive({"kernel": "new"}, shift=limit / 2))
    with pytest.raises(CanaryFailed, match="rounding explains"):
        await drills.canary("wren", revive({"kernel": "new"}, shift=limit * 2))
    assert home.ledger.size == size


async def test_other_weights_are_not_measured_with_this_calibration(drills: Drills, revive: Revive) -> None:
    """A calibration belongs to its weights: what answers with others finds no reference."""
    await calibrate(drills, revive)
    with pytest.raises(NotFound):
        await drills.drill("wren", Mind(build=Build("arithmetic", weights_digest="f" * 64)), STEWARD)


async def test_the_vault_keeps_calibrations_beside_references(
    home: FeatureHome, drills: Drills, revive: Revive, keeper: FolderKeeper
) -> None:
    """Whoever has only the vault has the references and what they can tell; and a rebuild brings every row back."""
    made = await calibrate(drills, revive)
    kept = keeper.kept("wren", "reference", keeper.manifest("wren", "reference").version)
    assert sorted(path.name[:11] for path in kept.iterdir()) == sorted(
        ["calibration", *(each["build_digest"][:11] for each in made["configurations"])]
    )
    await drills.drill("wren", revive(), STEWARD)
    before = [home.read(select(table)) for table in (Calibration, Certificate)]
    home.acts.rebuild()
    after = [home.read(select(table)) for table in (Calibration, Certificate)]
    assert [[row.payload_sha256 for row in rows] for rows in before] == [
        [row.payload_sha256 for row in rows] for rows in after
    ]
    assert [len(rows) for rows in after] == [1, 1]


async def test_the_canary_reads_on_where_first_words_do_not_fit(drills: Drills, mind: Mind) -> None:
    """A tokenizer that ends each text with a token of its own is compared by the whole text, and passes."""
    mind.extra_token = True
    await drills.capture_reference("wren", mind, STEWARD)
    revived = Mind(extra_token=True)
    await drills.canary("wren", revived)
    assert revived.scored == 2
    with pytest.raises(CanaryFailed):
        await drills.canary("wren", Mind(extra_token=True, shift=0.01))


async def test_the_canary_stops_what_differs_and_records_nothing(home: FeatureHome, drills: Drills, mind: Mind) -> None:
    """A probe is scored after a wake; a difference raises before an answer leaves."""
    await drills.canary("wren", mind)  # no reference yet: the first wake is the one that captures it
    assert mind.scored == 0
    await drills.capture_reference("wren", mind, STEWARD)
    size, revived = home.ledger.size, Mind()
    await drills.canary("wren", revived)
    assert (revived.scored, revived.answered) == (1, 0)
    for wrong in (Mind(shift=0.01), Mind(extra_token=True)):
        with pytest.raises(CanaryFailed):
            await drills.canary("wren", wrong)
    assert home.ledger.size == size


async def test_the_canary_does_not_judge_a_remote_api(drills: Drills) -> None:
    """Equal requests to a remote API may have unequal answers: no verdict is drawn from them."""
    remote = Mind(build=Build("upstream"), can=Capabilities())
    await drills.capture_reference("robin", remote, STEWARD)
    await drills.canary("robin", Mind(build=Build("upstream"), can=Capabilities(), tail="!"))


def test_the_probes_are_twelve_and_named() -> None:
    """The shipped probes are read whole, and their digest is that of the file."""
    assert len(probes().texts) + len(probes().chats) == 12
    assert all(text.strip() for text in [*probes().texts.values(), *probes().chats.values()])
    assert len(probes().sha256) == 64
