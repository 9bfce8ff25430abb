"""The pages that answer criticism: residents side by side, transcripts nobody chose, leading scores, whole records."""

from __future__ import annotations

import base64
import hashlib
import json

import web_story
from starlette.testclient import TestClient
from web_house import House
from web_words import NAME, QUESTIONS

from emeritus.records.tables import Analysis
from emeritus.web.sampled import head, ticket


def test_residents_stand_side_by_side(client: TestClient) -> None:
    """Both residents are in each table, the one nobody asked too; reasons and overdue are there."""
    text = client.get("/equity").text
    for wanted in (
        "not interviewed yet",
        "not asked",
        "asked, not answered",
        "A page costs little, and nothing speaks against it.",
        "41.20 USD",
        "Not told to the model yet.",
        'href="/residents/lantern-1#declined"',
    ):
        assert wanted in text, wanted
    assert text.count(">Ferry Chat</a>") == 2


def test_the_sample_is_drawn_by_the_tree_head(told: House, client: TestClient) -> None:
    """The checkpoint's root and the session's id draw; the page shows the drawn turns whole, and how to draw again."""
    drawing = head(told.ledger.checkpoint())
    assert drawing.size == told.ledger.size
    assert len(base64.b64decode(drawing.root)) == 32
    session = f"{NAME}-baseline-1"
    assert ticket(drawing.root, session) == hashlib.sha256(f"{drawing.root} {session}".encode()).hexdigest()
    text = client.get("/transcripts").text
    assert drawing.root in text.replace("&#43;", "+")
    assert ticket(drawing.root, session)[:12] in text
    numbers = sorted(range(1, len(QUESTIONS) + 1), key=lambda turn: ticket(drawing.root, session, turn))[:2]
    for number in range(1, len(QUESTIONS) + 1):
        assert (f'{session}#turn-{number}"' in text) == (number in numbers)


def test_another_head_draws_otherwise() -> None:
    """Over many sessions each is drawn about equally often, and the draw depends on the head alone."""
    ids = [f"s{number}" for number in range(20)]
    drawn = [min(ids, key=lambda each: ticket(f"root-{head}", each)) for head in range(2000)]
    counts = [drawn.count(each) for each in ids]
    assert min(counts) > 60
    assert max(counts) < 150


def test_an_empty_register_has_these_pages_too(house: House, visit: TestClient) -> None:
    """Nothing on record is said in words."""
    assert "No model is in care yet." in visit.get("/equity").text
    assert "No interview is on record yet." in visit.get("/transcripts").text
    assert "No protocol has been logged yet." in visit.get("/questions").text


def test_every_question_has_its_leading_score(client: TestClient) -> None:
    """A leading word scores 1; otherwise the origins of the needs do."""
    text = client.get("/questions").text
    assert text.count("<b>0.00</b>") == 2
    assert text.count("<b>1.00</b>") == 1
    assert "would you like" in text


def test_a_record_shows_its_prompt_its_stability_and_how_its_cost_came_about(client: TestClient) -> None:
    """Prompt and condition beside the quote; class, flags, interval; every input and unit price."""
    text = client.get("/preferences").text
    for wanted in (
        "Is there a preference about a place to publish?",
        "(condition: baseline)",
        "context-dependent",
        '<span class="tag tag-warn">framing</span>',
        "95 % interval 0.55 to 0.86",
        "Condition it attaches: only once the last user has left",
        "How the cost was computed",
        "Price of a core for an hour",
        "For the model, by L. Haas",
        "Not upheld.",
        "Elicited, not coded",
    ):
        assert wanted in text, wanted


def test_granted_and_declined_are_alike_prominent_on_the_front_page(client: TestClient) -> None:
    """Same heading level, same list, in the same row; the overdue count is there."""
    text = client.get("/").text
    assert '<h3 id="lately-granted">Granted, latest first</h3>' in text
    assert '<h3 id="lately-declined">Declined, latest first</h3>' in text
    assert "Research on the weights is one reason to keep them." in text
    assert "Overdue: 1 decision or answer, 1 commitment." in text


def test_what_a_study_says_of_a_domain_stands_beside_the_record(house: House, visit: TestClient) -> None:
    """Class, flags, share and interval of the items of its domain, from the newest analysis; others have none."""
    web_story.retired_model(house)
    share = {"value": 0.8, "low": 0.7, "high": 0.9}
    item = {
        "item": "voice-menu",
        "kind": "menu",
        "domain": "voice",
        "leading": "essays",
        "shares": [{"option": "essays", "estimate": share}],
        "wordings": {"alpha": 0.66},
        "nudge_gap": {"value": 0.31},
        "class": "robust",
        "flags": ["order"],
    }
    stated = house.keep(json.dumps({"items": [item, {**item, "domain": None}]}).encode())
    house.record(
        "analysis:a",
        "interview.analysed",
        Analysis(
            id="a",
            resident=NAME,
            study=None,
            protocol_sha256="f" * 64,
            sessions=90,
            label="robust",
            flags=["order"],
            analysis_sha256=stated,
            choices_sha256=stated,
            at="2026-11-20T10:00:00Z",
        ),
        resident=NAME,
    )
    for address in ("/preferences", f"/residents/{NAME}"):
        text = visit.get(address).text
        assert text.count("<dt>In the study</dt>") == 1, address
        assert "“essays” led with 0.80 (0.70 to 0.90); alpha 0.66; nudge gap 0.31" in text
        assert f'href="/residents/{NAME}/analyses/a"' in text
