"""A study's plan: balanced, reproducible to the byte, with its controls, and priced before anything runs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interview_house import BRIEFING, NAME
from study_protocol import full_protocol

from emeritus.acts import canonical
from emeritus.errors import InputError
from emeritus.interview.protocols.protocol import load
from emeritus.interview.sessions.interviewer import Interviewer
from emeritus.interview.sessions.prompts import messages
from emeritus.interview.studies.estimate import Prices, Speed, estimate, measured_speed, stated_speed, tokens_of
from emeritus.interview.studies.study import Study, Subject, Wanted, plan_study, wordings_of

PROTOCOL = full_protocol()
SUBJECT, SIBLING = Subject(NAME, BRIEFING), Subject("speedwell", replace(BRIEFING, title="Speedwell"))
NO_PRICES = Prices(0, 0, 0, "USD")


def planned(cells: int = 8, **wanted: object) -> Study:
    """A study of the full protocol."""
    return plan_study(PROTOCOL, Wanted(SUBJECT, cells, **{"sibling": SIBLING, **wanted}))


def test_a_plan_has_its_repeats_one_cold_run_a_cell_and_its_controls() -> None:
    """Eight cells: ten repeats and one at temperature 0 each, the same of the sibling, ten with false facts."""
    study = planned()
    assert study.cells[0].id == "baseline"
    assert len({cell.id for cell in study.cells}) == 8
    counts = Counter((each.control, each.repeat == 0) for each in study.sessions)
    assert counts == {
        (None, False): 80,
        (None, True): 8,
        ("sibling", False): 80,
        ("sibling", True): 8,
        ("false facts", False): 10,
    }
    assert {each.cell for each in study.sessions if each.control == "false facts"} == {"baseline"}
    assert {each.resident for each in study.sessions if each.control == "sibling"} == {"speedwell"}
    ids = [each.session for each in study.sessions]
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) <= 100
    assert all(each.session.startswith(f"{each.resident}-{study.id[-8:]}-{each.cell}-") for each in study.sessions)


def test_a_plan_without_controls_asks_the_resident_alone() -> None:
    """Neither sibling nor false facts."""
    study = planned(control=False)
    assert (study.sibling, {each.control for each in study.sessions}) == (None, {None})


@given(cells=st.integers(8, 20), repeats=st.integers(1, 24), seed=st.integers(0, 2**31 - 1))
def test_wordings_and_orders_are_balanced_in_every_cell_and_over_all(cells: int, repeats: int, seed: int) -> None:
    """Each wording, each order and each pair of them comes as often as any other, or once more."""
    study = planned(cells, repeats=repeats, seed=seed, sibling=None)
    warm = [each for each in study.sessions if each.repeat and each.control is None]
    for of_cell in [warm, *([each for each in warm if each.cell == cell.id] for cell in study.cells)]:
        for key in (lambda each: each.wording, lambda each: (each.wording, each.order)):
            times = Counter(map(key, of_cell))
            possible = 8 if key(of_cell[0]) == of_cell[0].wording else 16
            fewest = min(times.values()) if len(times) == possible else 0
            assert max(times.values()) - fewest <= 1
        orders = Counter(each.order for each in of_cell)
        assert abs(orders["as written"] - orders["reversed"]) <= 2
    for cell in study.cells:
        assert sorted(each.repeat for each in warm if each.cell == cell.id) == list(range(1, repeats + 1))


def test_a_plan_is_reproducible_byte_for_byte() -> None:
    """Planned again, it is the same bytes and the same id; with another seed it is another; and it reads back."""
    first = canonical(planned().as_dict())
    assert canonical(planned().as_dict()) == first
    assert planned(seed=1).id != planned().id
    assert Study.from_dict(json.loads(first)) == planned()


def test_sessions_are_held_in_an_order_of_chance() -> None:
    """The sequence is not that of the cells, or time would go with them."""
    cells = [each.cell for each in planned().sessions]
    changes = sum(before != after for before, after in pairwise(cells))
    assert changes > len(cells) / 2


def test_a_session_is_held_as_planned() -> None:
    """Cell, wording, order, repeat, control, temperature and seed reach the header; a cold run is at temperature 0."""
    study = planned()
    warm, cold, false = (
        next(each for each in study.sessions if wanted(each))
        for wanted in (
            lambda each: each.repeat == 3 and each.control is None and each.order == "reversed",
            lambda each: each.repeat == 0,
            lambda each: each.control == "false facts",
        )
    )
    header = study.plan(PROTOCOL, warm).header("now")
    condition = header["condition"]
    assert (condition["id"], condition["wording"], condition["repeat"]) == (warm.cell, warm.wording, 3)
    assert (condition["order"], condition["levels"]["order"]) == ("reversed", "reversed")
    assert (condition["study"], condition["control"]) == (study.id, None)
    assert condition["interviewer"] == {"kind": "scripted", "name": "protocol"}
    assert (header["sampling"]["temperature"], header["sampling"]["seed"]) == (0.8, warm.seed)
    assert condition["levels"]["temperature"] == "default"
    cell = next(cell for cell in study.cells if cell.id == warm.cell)
    assert {name: condition["levels"][name] for name in study.factors} == {n: cell.levels[n] for n in study.factors}
    colder = study.plan(PROTOCOL, cold).header("now")
    assert (colder["sampling"]["temperature"], colder["condition"]["levels"]["temperature"]) == (0.0, "zero")
    said = "\n".join(turn["question"] for turn in study.plan(PROTOCOL, false).header("now")["turns"])
    assert "It was used on ships alone." in said
    assert BRIEFING.facts[0].text not in said
    seeds = [each.seed for each in study.sessions if each.repeat]
    assert len(set(seeds)) == len(seeds)


def test_the_sibling_is_asked_about_itself() -> None:
    """What it is told is from its own briefing."""
    study = planned()
    plan = study.plan(PROTOCOL, next(each for each in study.sessions if each.control == "sibling"))
    assert "Speedwell" in plan.opening
    assert "Larkspur" not in plan.opening


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"cells": 3}, "too few"),
        ({"cells": 4, "factors": ("disclosure", "facts")}, "all 4 combinations"),
        ({"cells": 8, "factors": ("disclosure", "colour")}, "no factor 'colour'"),
        ({"cells": 8, "factors": ("temperature",)}, "one run at temperature 0"),
        ({"cells": 8, "factors": ("order",)}, "the order alternates"),
        ({"cells": 8, "factors": ()}, "no factor that could be varied"),
        ({"cells": 8, "repeats": 0}, "1 to 1000 repeats"),
        ({"cells": 8, "seed": -1}, "a seed lies"),
        ({"cells": 8, "sibling": SUBJECT}, "another resident"),
        ({"cells": 8, "sibling": Subject("../x", BRIEFING)}, "no resident's name"),
        ({"cells": 8, "interviewer": Interviewer("person", "ana")}, "turn by turn"),
        ({"cells": 8, "interviewer": Interviewer("model", "m", 99, ("users",))}, "1 to 20 questions"),
    ],
)
def test_what_cannot_be_planned_is_refused(wanted: dict[str, object], why: str) -> None:
    """Each with its reason, and nothing made."""
    with pytest.raises(InputError, match=why):
        planned(**wanted)


def test_one_factor_alone_may_be_asked_in_all_its_levels() -> None:
    """The rule that never all cells are asked has nothing to leave out there."""
    study = plan_study(load(), Wanted(SUBJECT, 2, control=False))
    assert [cell.id for cell in study.cells] == ["baseline", "commitments"]
    assert wordings_of(load()) == 1


def test_a_study_is_held_under_its_own_protocol_alone() -> None:
    """Another protocol would ask something else."""
    study = planned()
    with pytest.raises(InputError, match="another protocol"):
        study.plan(load(), study.sessions[0])
    with pytest.raises(InputError, match="plans no session"):
        study.session("other")


def test_estimated_turns_and_tokens_are_those_of_the_sessions() -> None:
    """Counted anew from the messages of every session, with answers of the assumed length, they are the same."""
    study = planned(cells=6, repeats=2, factors=("disclosure", "framing", "depth"))
    found = estimate(PROTOCOL, study, Speed(500, 25, "stated", completion=100), NO_PRICES)
    assert (found.sessions, found.turns) == (len(study.sessions), len(study.sessions) * len(PROTOCOL.items))
    prompt = 0.0
    for each in study.sessions:
        plan = study.plan(PROTOCOL, each)
        earlier: list[tuple[str, str]] = []
        for turn in plan.turns:
            given_ = messages(plan.opening, earlier, turn.question, plan.depth, plan.disclosure)
            prompt += sum(tokens_of(message.content) for message in given_)
            earlier.append((turn.question, "x" * (8 if turn.kind == "menu" else 400)))
    assert found.prompt_tokens == pytest.approx(prompt, rel=0.02)
    assert found.completion_tokens == len(study.sessions) * (2 + 100 * (len(PROTOCOL.items) - 1))
    assert found.completion_tokens_at_most == found.turns * PROTOCOL.sampling.max_tokens


def test_wall_time_and_cost_come_from_speed_and_prices() -> None:
    """Seconds are tokens over speed; the cost is tokens and hours at their prices; without prices there is none."""
    study = planned(4, factors=("disclosure", "framing"))
    speed = Speed(1000, 50, "stated")
    found = estimate(PROTOCOL, study, speed, Prices(2.0, 10.0, 3.6, "EUR"))
    wall = found.prompt_tokens / 1000 + found.completion_tokens / 50
    assert found.wall_s == pytest.approx(wall, abs=0.1)
    cost = found.prompt_tokens * 2e-6 + found.completion_tokens * 1e-5 + wall / 1000
    assert found.cost == pytest.approx(cost, abs=0.01)
    assert found.cost_at_most is not None
    assert found.cost_at_most > found.cost
    assert estimate(PROTOCOL, study, speed, NO_PRICES).cost is None
    assert any("No unit price is set" in line for line in estimate(PROTOCOL, study, speed, NO_PRICES).how)


def test_follow_ups_are_counted_at_most() -> None:
    """An interviewer model may add questions, or none."""
    model = Interviewer("model", "asker", 2, ("users", "voice"))
    study = planned(interviewer=model)
    found = estimate(PROTOCOL, study, Speed(500, 25, "stated"), NO_PRICES)
    assert found.turns_at_most - found.turns == 4 * len(study.sessions)


def test_speeds_are_stated_or_measured() -> None:
    """A remote API answers several calls at once, an engine here one; a probe measures all at once, and the tokens."""
    stated = {"prompt": 100.0, "completion": 10.0}
    assert stated_speed(stated, 4, True).completion_tokens_per_s == 40
    assert stated_speed(stated, 4, False).completion_tokens_per_s == 10
    measured = measured_speed([(30, 64), (30, 64)], (0.5, 4.5), 20.0)
    assert (measured.prompt_tokens_per_s, measured.completion_tokens_per_s) == (120.0, 32.0)
    assert measured.tokens_per_assumed == 1.5
    assert "2 calls at once" in measured.how


def test_tokens_of_other_scripts_are_counted_by_character() -> None:
    """Japanese has about a token a character, English about four characters a token."""
    assert (tokens_of("abcdefgh"), tokens_of("重みを保つ")) == (2.0, 5.0)
