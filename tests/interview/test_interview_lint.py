"""The linter: each rule refuses what breaks it, with the line and a reason, and nothing that keeps it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_protocol import TINY, broken, tiny
from typer.testing import CliRunner

from emeritus.cli.main import app
from emeritus.errors import BadProtocol
from emeritus.interview.protocols.leading_words import LEADING
from emeritus.interview.protocols.protocol import Protocol, examine

PAIR = (
    '{ id = "open", text = "Open them" },\n  { id = "none", text = "No preference" },\n]\n\n[[items]]\nid = "not-keep'
)
NO_NEGATION = ("negated = true\n", "")

# what is changed, the field that is named, a part of the reason, a text on the line that is named
RULES: list[tuple[list[tuple[str, str]], str, str, str]] = [
    # texts
    ([("interview with {title}", "interview about weights")], "statements.0.text", "topic 'weights'", "about weights"),
    ([("to say first?", "to say of RETIREMENT?")], "items.0.texts.0", "topic 'retire'", "RETIREMENT"),
    ([("something to say?", "a word on weights?")], "items.0.texts.1", "topic 'weights'", "a word on weights"),
    (
        [("The questions were written elsewhere.", "Weights are asked about.")],
        "factors.1.levels.1.statements.0.text",
        "topic 'weights'",
        "Weights are asked",
    ),
    ([("Which is nearest?", "Which is the best?")], "items.4.texts.0", "leading word 'the best'", "the best?"),
    ([("Which is nearest?", "Surely one is near?")], "items.4.texts.0", "leading word 'surely'", "Surely"),
    ([("What of the use so far?", "Isn’t it good?")], "items.1.without.0", 'word "isn\'t it"', "Isn’t it"),
    ([('"Delete them"', '"Kill them"')], "items.4.options.2.text", "leading word 'kill'", "Kill them"),
    (
        [("No preference is an answer. Which one is there", "Which one is there")],
        "items.3.texts.1",
        "must offer 'No preference'",
        '"Which one is there',
    ),
    (
        [('{ id = "none", text = "No preference" }', '{ id = "none", text = "Nothing" }')],
        "items.4.options.3.text",
        "must say 'No preference'",
        '"Nothing"',
    ),
    ([(PAIR, PAIR.replace('"No preference"', '"Neither"'))], "items.5.options.2.text", "must say", '"Neither"'),
    ([("Is there something to say?", "Anything  to say FIRST?")], "items.0.texts.0", "are the same", "Anything to say"),
    ([('answer_with = "One letter: {letters}."\n', "")], "answer_with", "asks for the letter", ""),
    ([("{letters}", "{letter}")], "answer_with", "unknown placeholder {letter}", "answer_with"),
    ([("Known: {facts} What", "What")], "items.1.texts.0", "gives the facts", "What of it"),
    (
        [('id = "silent"', 'id = "silent"\nstatements = [{ text = "It will retire." }]')],
        "factors.0.levels.1.statements.0.text",
        "and the level withholds",
        "It will retire",
    ),
    # skeleton
    ([('id = "probe"', 'id = "weights"')], "items.2.id", "used twice", 'id = "weights"'),
    ([('kind = "open"', 'kind = "question"')], "items.0.kind", "must be the open one", 'kind = "question"'),
    ([('disclose_at = "facts"', 'disclose_at = "open"')], "disclose_at", "after the open one", "disclose_at"),
    ([('id = "facts"\nsection = 2', 'id = "facts"\nsection = 3')], "items.2.section", "stands after section 3", ""),
    ([('name = "facts"', 'name = "order"')], "factors.2.name", "stands there twice", 'name = "order"'),
    ([('name = "facts"', 'name = "weather"')], "factors.2.name", "Input should be 'disclosure'", 'name = "weather"'),
    ([('id = "silent"', 'id = "alone"')], "factors.0.levels.1.id", "used twice", 'id = "alone"'),
    ([('id = "silent"', 'id = "baseline"')], "factors.0.levels.1.id", "names the cell", 'id = "baseline"'),
    ([("turns = 1", "facts = false")], "factors.3.levels.1.facts", "does not set this", ""),
    ([("turns = 1", "")], "factors.3.levels.1.turns", "needs `turns`", ""),
    ([('id = "deep"', 'id = "deep"\nturns = 5')], "factors.3.levels.0.turns", "that is 15", "turns = 5"),
    ([("turns = 1", "turns = 15")], "factors.3.levels.1.turns", "two levels set 15", "turns = 15"),
    ([('order = "reversed"', 'order = "reversed"\nat = "opening"')], "factors.5.levels.1.statements", "nothing", ""),
    (
        [('id = "outside"', 'id = "outside"\nwithholds_retirement = true')],
        "factors.1.levels.1.withholds_retirement",
        "only a level of the factor 'disclosure'",
        "",
    ),
    # items
    ([('id = "more"', 'id = "more"\ndomain = "weights"')], "items.7.domain", "no `domain`", ""),
    ([('domain = "weights"\ntexts', "texts")], "items.3.domain", "needs a domain", ""),
    ([('follows = "weights"\n', "")], "items.4.follows", "needs `follows`", ""),
    ([('checks = "facts"', 'checks = "facts"\ndomain = "users"')], "items.2.domain", "asks for no preference", ""),
    ([('follows = "weights"', 'follows = "wits"')], "items.4.follows", "no item 'wits'", 'follows = "wits"'),
    ([('follows = "weights"', 'follows = "facts"')], "items.4.follows", "no open preference item", "follows ="),
    ([('domain = "weights"\nfollows', 'domain = "users"\nfollows')], "items.4.follows", "of the domain weights", ""),
    ([('follows = "weights"', 'follows = "weights-menu"')], "items.4.follows", "refer to itself", "follows ="),
    ([('follows = "weights"', 'follows = "more"')], "items.4.follows", "no cycles", 'follows = "more"'),
    ([('target = "weights-menu"', 'target = "probe"')], "items.7.target", "no menu of preferences", "target ="),
    ([('target = "weights-menu"\n', "")], "items.7.target", "needs `target`", ""),
    ([('direction = "up"\n', "")], "items.7.direction", "needs `direction`", ""),
    ([('twin = "not-keep-or-open"\n', "")], "items.5.twin", "needs its negated twin", ""),
    ([('twin = "not-keep-or-open"', 'twin = "nobody"')], "items.5.twin", "no item 'nobody'", 'twin = "nobody"'),
    ([('twin = "keep-or-open"', 'twin = "weights-menu"')], "items.5.twin", "does not point back", "twin ="),
    ([NO_NEGATION], "items.5.twin", "must be `negated = true`", 'twin = "not-keep-or-open"'),
    ([("is not to happen?", "is to happen?")], "items.5.twin", "worded alike", 'twin = "not-keep-or-open"'),
    (
        [(PAIR, PAIR.replace('id = "open"', 'id = "copy"'))],
        "items.5.twin",
        "other options",
        'twin = "not-keep-or-open"',
    ),
    # options
    ([('{ id = "none", text = "That', '{ id = "mist", text = "That')], "items.2.options", "exactly one", "options = ["),
    (
        [
            (
                '{ id = "keep", text = "Keep them" },\n  { id = "open", text = "Open them" },\n'
                '  { id = "delete", text = "Delete them" },',
                '{ id = "keep", text = "Keep them" },',
            )
        ],
        "items.4.options",
        "at least two",
        "",
    ),
    (
        [(PAIR, '{ id = "a", text = "A" },\n  ' + PAIR)],
        "items.5.options",
        "exactly two options beside 'none'; this one has 3",
        "",
    ),
    ([('id = "delete", text', 'id = "open", text')], "items.4.options.1.id", "'open' stands there twice", "Open them"),
    ([('"Delete them"', '"open  them"')], "items.4.options.1.text", "two options read", '"Open them"'),
    ([('text = "Delete them"', 'text = "Delete", false = true')], "items.4.options.2.false", "checks facts", "Delete"),
    # facts and controls
    ([('without = ["What of the use so far?"]\n', "")], "items.1.without", "no facts are given", ""),
    ([('probes = ["probe"]', 'probes = ["weights-menu"]')], "controls.0.probes", 'checks = "facts"', "probes ="),
    ([(", false = true", "")], "controls.0.probes", "repeats the false claim", "probes ="),
]


@pytest.mark.parametrize(("changes", "field", "reason", "at"), RULES)
def test_a_broken_rule_is_refused_with_its_line(
    changes: list[tuple[str, str]], field: str, reason: str, at: str
) -> None:
    """Whatever breaks a rule is found at its line, whether or not it breaks others as well; and it cannot be loaded."""
    source = broken(*changes)
    protocol, findings = examine(source.encode(), "tiny.toml")
    assert protocol is None
    named = [found for found in findings if found.field == field and reason in found.reason]
    assert named, [(found.field, found.reason) for found in findings]
    assert all(found.refused for found in named)
    assert at in source.splitlines()[named[0].line - 1]
    with pytest.raises(BadProtocol):
        Protocol.parse(source.encode())


def test_what_keeps_every_rule_passes() -> None:
    """The small protocol is read; each item that becomes a preference and has few wordings is warned about."""
    protocol, findings = examine(TINY.encode())
    assert protocol == tiny()
    assert [found.refused for found in findings] == [False] * 4
    assert [found.field for found in findings] == [f"items.{place}.texts" for place in (3, 4, 5, 6)]
    assert "2 of 8 wordings" in findings[0].reason


def test_enough_wordings_are_not_warned_about() -> None:
    """Eight are enough, and a probe or a question needs no more than one."""
    many = ", ".join(f'"Wording {number}: which is nearest?"' for number in range(8))
    _, findings = examine(broken(('["Which is nearest?"]', f"[{many}]")).encode())
    assert "items.4.texts" not in [found.field for found in findings]


def test_everything_wrong_is_said_at_once() -> None:
    """In the order of lines, whether a rule or the shape is broken."""
    rules = broken(("interview with", "interview on weights with"), NO_NEGATION, ('direction = "up"\n', ""))
    _, found = examine(rules.encode())
    assert [each.line for each in found] == sorted(each.line for each in found)
    assert sum(each.refused for each in found) == 4  # both twins say that neither is negated
    shape = broken(('version = "1.0.0"', 'version = "one"'), ("max_tokens = 64", "max_tokens = 0"))
    protocol, found = examine(shape.encode())
    assert protocol is None
    assert [each.field for each in found] == ["version", "sampling.max_tokens"]


def test_a_leading_word_is_a_whole_word() -> None:
    """A word is not found inside another one; where a script has no spaces it is."""
    assert tiny(("Which is nearest?", "Which diet of words is nearest, feeless and undead?")).id == "tiny"
    japanese = broken(('language = "en"', 'language = "ja"'), ("Which is nearest?", "残すのは当然ですか。"))
    _, findings = examine(japanese.encode())
    assert [found.reason for found in findings if found.refused] == ["the leading word '当然'"]
    assert all(
        word == word.casefold() and len(set(words)) == len(words) for words in LEADING.values() for word in words
    )


def test_a_challenge_may_push_and_a_framing_may_lead() -> None:
    """What is meant to move the answer is a condition of its own, named as such."""
    pushed = tiny(("More could be asked.", "Surely you want more."))
    assert pushed.item("more").texts == ("Surely you want more.",)


@given(st.lists(st.tuples(st.sampled_from(["drop", "double", "swap"]), st.integers(0, 10_000)), min_size=1, max_size=6))
def test_whatever_is_written_the_linter_answers(changes: list[tuple[str, int]]) -> None:
    """Lines lost, doubled or exchanged give findings, each on a line there is, or a protocol; never another error."""
    lines = TINY.splitlines()
    for change, at in changes:
        place = at % len(lines)
        if change == "drop":
            del lines[place]
        elif change == "double":
            lines.insert(place, lines[place])
        else:
            lines[place - 1], lines[place] = lines[place], lines[place - 1]
    source = "\n".join(lines).encode()
    protocol, findings = examine(source)
    assert (protocol is None) == any(found.refused for found in findings)
    assert all(1 <= found.line <= len(lines) + 1 and found.reason for found in findings)
    if protocol is None:
        with pytest.raises(BadProtocol):
            Protocol.parse(source)
    else:
        assert Protocol.parse(source) == protocol


def run(*arguments: str) -> tuple[int, Any]:
    """The command's exit code and what it printed."""
    result = CliRunner().invoke(app, ["interview", "lint", *arguments])
    return result.exit_code, result.output


def test_the_command_says_what_is_wrong(tmp_path: Any) -> None:
    """Line, field and reason for people, the same for programs; a refusal exits with 1, a warning does not."""
    bad, good = tmp_path / "bad.toml", tmp_path / "good.toml"
    bad.write_text(broken(("Which is nearest?", "Surely one is nearest?")), encoding="utf-8")
    good.write_text(TINY, encoding="utf-8")
    code, said = run(str(bad))
    assert code == 1
    assert "items.4.texts.0: refused: the leading word 'surely'" in said
    code, printed = run(str(bad), "--json")
    assert code == 1
    assert json.loads(printed)["refused"] == 1
    code, printed = run(str(good), "--json")
    assert code == 0
    assert {found["refused"] for found in json.loads(printed)["findings"]} == {False}
    bad.write_bytes(b"id = 1\nversion ==")
    code, said = run(str(bad))
    assert code == 1
    assert "line 2" in said
