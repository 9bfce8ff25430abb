"""Gates, each opened and closed alone."""

from dataclasses import replace
from datetime import date

import pytest

from emeritus.lifecycle.gates import Announced, Callers, Evidence, PreferenceEvidence, gates

MET = Evidence(
    today=date(2026, 4, 1),
    announced=Announced(date(2026, 1, 10), date(2026, 4, 1), 60, None),
    callers=Callers(known=3, owed=0, told=True),
    weights_held=True,
    preserved=True,
    restore_proven=True,
    reference=True,
    sessions=2,
    conditions=2,
    unlogged=0,
    preferences=(PreferenceEvidence("p1", read_back=True, decided=True, told=True),),
    report=True,
    report_kept=True,
    report_current=True,
)
NAMES = [
    "notice period over",
    "callers notified",
    "weights preserved",
    "restore proven",
    "reference captured",
    "interview complete",
    "preferences read back",
    "preferences decided",
    "decisions told",
    "report written",
]


def closed(evidence: Evidence) -> list[str]:
    """The names of the gates that are not met."""
    return [gate.name for gate in gates(evidence) if not gate.green]


def test_every_gate_is_met() -> None:
    """With all evidence in place no gate is open, and none offers a remedy."""
    found = gates(MET)
    assert [gate.name for gate in found] == NAMES
    assert all(gate.green and gate.why and not gate.remedy for gate in found)


@pytest.mark.parametrize(
    ("lack", "name", "why"),
    [
        ({"announced": None}, "notice period over", "no retirement has been announced"),
        ({"today": date(2026, 3, 31)}, "notice period over", "the announced date is 2026-04-01"),
        (
            {"announced": Announced(date(2026, 2, 1), date(2026, 2, 2), 60, None)},
            "notice period over",
            "60 days of notice",
        ),
        ({"callers": Callers(0, 0, told=False)}, "callers notified", "no notice"),
        ({"callers": Callers(3, 1, told=True)}, "callers notified", "1 of 3"),
        ({"preserved": False}, "weights preserved", "does not hold"),
        ({"restore_proven": None}, "restore proven", "never restored"),
        ({"restore_proven": False}, "restore proven", "did not give back"),
        ({"reference": False}, "reference captured", "no reference"),
        ({"sessions": 0}, "interview complete", "no interview session"),
        ({"sessions": 0, "unlogged": 2}, "interview complete", "protocol was not logged before: 2"),
        (
            {"preferences": (PreferenceEvidence("p7", False, True, True),)},
            "preferences read back",
            "not read back: p7",
        ),
        ({"preferences": (PreferenceEvidence("p7", True, False, True),)}, "preferences decided", "not decided: p7"),
        ({"preferences": (PreferenceEvidence("p7", True, True, False),)}, "decisions told", "not told: p7"),
        ({"report": False}, "report written", "no post-deployment report"),
        ({"report_kept": False}, "report written", "not in the vault"),
        ({"report_current": False}, "report written", "after the report"),
    ],
)
def test_each_lack_closes_its_gate_alone(lack: dict[str, object], name: str, why: str) -> None:
    """One missing thing closes one gate, which says why and what to do."""
    evidence = replace(MET, **lack)
    assert closed(evidence) == [name]
    (gate,) = [gate for gate in gates(evidence) if not gate.green]
    assert why in gate.why
    assert gate.remedy


def test_a_waiver_shortens_the_notice_but_not_the_date() -> None:
    """A publicly waived notice period is shown in the gate; the announced date still has to come."""
    waived = replace(MET, announced=Announced(date(2026, 3, 31), date(2026, 4, 1), 60, "Nobody calls it."))
    assert closed(waived) == []
    assert "Nobody calls it." in gates(waived)[0].why
    assert closed(replace(waived, today=date(2026, 3, 31))) == ["notice period over"]


def test_weights_held_elsewhere_close_no_gate() -> None:
    """A model behind an API retires without weights, and the gates say that they are not held."""
    upstream = replace(MET, weights_held=False, preserved=False, restore_proven=None)
    assert closed(upstream) == []
    assert sum("not held" in gate.why for gate in gates(upstream)) == 2
