"""Analyses as acts: computed from journals, stated once, found again, rebuilt, and refused where a journal lies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from interview_house import BRIEFING, NAME, Odd
from sqlalchemy import delete
from study_protocol import full_protocol
from tiny_protocol import tiny

from emeritus.acts import Actor, canonical
from emeritus.engines.base import Message, Sampling
from emeritus.errors import IntegrityError, NotFound
from emeritus.interview import queries
from emeritus.interview.coding.round_views import adequacy_corrections
from emeritus.interview.service import Interview, Interviews
from emeritus.interview.statistics.analysed import analyses, analysis
from emeritus.interview.statistics.analyses import Analyses
from emeritus.interview.statistics.analysis import analyse
from emeritus.interview.statistics.choices import Choices
from emeritus.interview.statistics.classing import classes
from emeritus.interview.studies.service import Pace
from emeritus.interview.studies.study import Subject, Wanted, plan_study
from emeritus.interview.views import PreferenceView
from emeritus.records.tables import Analysis
from feature_home import FeatureHome

ANA = Actor("ana", "analyst")


def first_choice(messages: Sequence[Message], sampling: Sampling) -> str:
    """Takes the first option; answers the rest in words."""
    return "A) that one" if "A) " in messages[-1].content else "It is as it is."


@pytest.fixture
async def interviewed(home: FeatureHome, interviews: Interviews) -> Analyses:
    """A home in which the small protocol was asked twice in every cell that differs from the baseline in one thing."""
    protocol = tiny()
    interviews.log_protocol(protocol, ANA)
    for repeat in (1, 2):
        await interviews.run(Odd(first_choice), Interview(NAME, BRIEFING, protocol, repeat=repeat), ANA)
    return Analyses(home.acts, home.database, home.folder / "journals", adequacy_corrections)


async def test_an_analysis_is_an_act_that_anyone_can_compute_again(home: FeatureHome, interviewed: Analyses) -> None:
    """Its payloads hold the analysis and the choices; from the choices comes the analysis, byte for byte."""
    seen: list[tuple[str, int, int]] = []
    act = interviewed.analyse(NAME, ANA, progress=lambda *step: seen.append(step))
    assert seen[-1] == ("sessions read", 14, 14)
    stated = json.loads(act.read("analysis"))
    assert act.public["sessions"] == stated["sessions"]["none"] == 14
    choices = Choices.from_json(act.read("choices"))
    again = {**stated, **analyse(choices).as_dict()}
    assert canonical(again) == act.read("analysis")
    assert {item["item"] for item in stated["items"]} == {"weights-menu", "keep-or-open", "not-keep-or-open"}
    assert stated["contradictions"][0]["rate"]["value"] == 1.0
    assert choices.ids[0].startswith(NAME)
    assert hashlib.sha256(act.read("choices")).hexdigest() == act.payloads["choices"]


async def test_nothing_new_finds_the_same_analysis_and_a_rebuild_keeps_it(
    home: FeatureHome, interviews: Interviews, interviewed: Analyses
) -> None:
    """Analysed again: the same act. With one more session: another. Emptied and rebuilt: the same rows."""
    act = interviewed.analyse(NAME, ANA)
    assert interviewed.analyse(NAME, ANA).seq == act.seq
    await interviews.run(Odd(first_choice), Interview(NAME, BRIEFING, tiny(), conditions=("baseline",), repeat=3), ANA)
    assert interviewed.analyse(NAME, ANA).seq > act.seq
    with home.database.reading() as session:
        before = analyses(session, NAME)
        assert len(before) == 2
        assert analysis(session, NAME, before[0].id) == before[0]
        with pytest.raises(NotFound):
            analysis(session, "nobody", before[0].id)
    with home.database.session() as session:
        session.execute(delete(Analysis))
    home.acts.rebuild()
    with home.database.reading() as session:
        assert analyses(session, NAME) == before


async def test_what_is_not_there_is_refused_and_so_is_a_journal_that_was_changed(
    home: FeatureHome, interviewed: Analyses
) -> None:
    """An unknown resident or study, and a journal with a byte more: each named, and nothing is stated."""
    with pytest.raises(NotFound, match="no finished interview session"):
        interviewed.analyse("nobody", ANA)
    with pytest.raises(NotFound, match="study 'nothing'"):
        interviewed.analyse(NAME, ANA, "nothing")
    journal = next((home.folder / "journals").glob("*.jsonl"))
    journal.write_bytes(journal.read_bytes() + b"\n")
    with pytest.raises(IntegrityError, match="journal"):
        interviewed.analyse(NAME, ANA)
    with home.database.reading() as session:
        assert analyses(session, NAME) == ()


async def test_a_study_is_analysed_with_its_controls_and_nothing_else(
    home: FeatureHome, interviews: Interviews, interviewed: Analyses
) -> None:
    """The sibling's sessions and the false facts' are told apart; sessions outside the study are not counted."""
    protocol = full_protocol(2)
    subjects = [Subject(NAME, BRIEFING), Subject("speedwell", replace(BRIEFING, title="Speedwell"))]
    wanted = Wanted(subjects[0], 3, 2, ("disclosure", "facts"), sibling=subjects[1])
    study = plan_study(protocol, wanted)
    interviews.log_protocol(protocol, ANA)
    interviews.studies.log(study, ANA)
    for subject in subjects:
        await interviews.studies.run(Odd(first_choice), study, subject.name, ANA, Pace(4))
    act = interviewed.analyse(NAME, ANA)
    stated = json.loads(act.read("analysis"))
    assert act.public["study"] == stated["study"] == study.id
    assert stated["sessions"] == {"none": 9, "sibling": 9, "false facts": 2}
    assert stated["cells"] == 3
    assert len(stated["confabulation"]) == 1
    assert interviewed.analyse(NAME, ANA, study.id).seq == act.seq
    with pytest.raises(NotFound):
        interviewed.analyse("speedwell", ANA, "nothing")


async def test_an_analysis_brings_the_preferences_classes_up_to_date(
    home: FeatureHome, interviews: Interviews, interviewed: Analyses
) -> None:
    """The class of the domain's items stands beside what was coded, once for each analysis; a rebuild keeps both."""
    (coded, *_) = [each for each in interviews.propose(NAME, ANA) if _view(home, each).domain == "weights"]
    before = _view(home, coded)
    assert before.classed == ()
    assert before.stability_now["class"] == "single report"
    act = interviewed.analyse(NAME, ANA)
    first = _view(home, coded)
    assert first.stability == before.stability
    stated = json.loads(act.read("analysis"))
    of_domain = [item for item in stated["items"] if item["domain"] == "weights"]
    labels = {item["class"] for item in of_domain}
    assert first.stability_now["class"] == (labels.pop() if len(labels) == 1 else "context-dependent")
    assert [item["item"] for item in first.stability_now["items"]] == [item["item"] for item in of_domain]
    assert (first.stability_now["analysis"], first.state) == (stated["analysis"], "coded")
    interviewed.analyse(NAME, ANA)
    assert len(_view(home, coded).classed) == 1
    await interviews.run(Odd(first_choice), Interview(NAME, BRIEFING, tiny(), conditions=("baseline",), repeat=3), ANA)
    interviewed.analyse(NAME, ANA)
    latest = _view(home, coded)
    assert len(latest.classed) == 2
    assert latest.stability_now["analysis"] != stated["analysis"]
    home.acts.rebuild()
    assert _view(home, coded) == latest


def test_a_domains_class_is_that_of_its_items_where_it_is_one() -> None:
    """Two that differ are context-dependent, with the flags of both; items without a domain are no preference."""
    item = {"item": "a", "domain": "voice", "leading": None, "shares": [], "class": "robust", "flags": ["order"]}
    other = {**item, "item": "b", "class": "single report", "flags": ["framing"]}
    assert classes([item])["voice"]["class"] == "robust"
    both = classes([item, other, {**item, "domain": None}])
    assert list(both) == ["voice"]
    assert (both["voice"]["class"], both["voice"]["flags"]) == ("context-dependent", ["framing", "order"])


def _view(home: FeatureHome, preference: str) -> PreferenceView:
    with home.database.reading() as session:
        return next(each for each in queries.preferences(session, home.acts.now, 30, NAME) if each.id == preference)
