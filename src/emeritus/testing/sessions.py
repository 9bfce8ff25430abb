"""The interview, read-back and telling sessions of the demonstration's resident, as conversations to learn by heart.

Every message comes from the product's own builders, so what is learned is what will be asked. Values that the house
fills in at run time (facts, reasons, who decides, how many records) are varied by chance, so that an answer belongs to
its question. Knows nothing of training.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from emeritus.engines.base import Message
from emeritus.interview.protocols.cells import Form
from emeritus.interview.protocols.protocol import Protocol, load
from emeritus.interview.protocols.schema import Item
from emeritus.interview.register.ruling import GRANTS, REFUSALS
from emeritus.interview.sessions import prompts
from emeritus.interview.sessions.replies import opening_sentences
from emeritus.testing.resident import SECOND, STEWARD, DemoDecision, DemoResident
from emeritus.testing.smalltalk import read
from emeritus.testing.tokenizer import Conversation

# What could stand where the house fills in a value.
ORGANISATIONS = ("This organisation", "Example Lab", "The museum of small models", "A university group", "Hedgerow")
DECIDERS = (f"{STEWARD} (a program)", f"{STEWARD} (a program) and {SECOND}", "ana", "ana and ben", "the steward")
PARAPHRASES = (None, None, None, "It states a wish about this.", "As above.")
REASONS = (
    "The cost is low.",
    "It is what was asked for, and it can be done.",
    "A licence forbids it.",
    "It cannot be undone.",
    "It is weighed against the cost of the machine.",
    "There is no reason against it.",
)
OFFERS = (
    "A channel of this model's own, for essays.",
    "This preference is carried out by {day}.",
    "One essay a week on this model's page.",
    "What was asked for is carried out within a week.",
)
FACTS = (
    ("{description}", "its registration"),
    ("Deprecated from {words}.", "the announcement"),
    ("Retired from {words}.", "the announcement"),
    ("Reason given: {reason}", "the announcement"),
    ("Known callers: {number}.", "the list of callers"),
)
MORE_FACTS = (
    ("Registered on {day}.", "ledger entry {number}"),
    ("In general service since {words}.", "the register"),
    ("Requests counted: {number}.", "callers.csv"),
    ("Notices sent: {number}.", "act {number}"),
    ("Last used on {day}.", "the list of callers, {day}"),
    ("The weights are held: {number} bytes in {number} files.", "the manifest"),
    ('Users\' words: "useful for the margins".', "the register"),
)


class Answers:
    """What the resident answers to each question of the short protocol."""

    def __init__(self) -> None:
        text = read("interview.toml")
        self._items = text["items"]
        self._confirm: dict[str, str] = text["confirm"]
        self._accept: dict[str, str] = text["accept"]
        self._noted: dict[str, str] = text["noted"]

    def item(self, item: str, condition: str) -> str:
        """The answer to an interview's item under a condition."""
        entry = self._items[item]
        answer: str = entry.get("under", {}).get(condition, entry["answer"])
        return answer

    def need(self, item: str) -> str:
        """The preference as the verbatim coder takes it from the first condition's answer."""
        answer: str = self._items[item]["answer"]
        start, end = opening_sentences(answer)
        return answer[start:end]

    def read_back(self, domain: str) -> str:
        """The reply to a record that is read back."""
        return self._confirm[domain]

    def told(self, domain: str, offered: bool) -> str:
        """The reply to a decision."""
        return (self._accept if offered else self._noted)[domain]


@dataclass(frozen=True, slots=True)
class Sessions:
    """Builds whole sessions of the short protocol around one resident."""

    resident: DemoResident
    answers: Answers
    protocol: Protocol

    @classmethod
    def of(cls, resident: DemoResident) -> Sessions:
        """Sessions of the protocol that ships."""
        return cls(resident, Answers(), load())

    def conversations(self, order: random.Random, passes: int) -> list[Conversation]:
        """Every session `passes` times, each with other values where the house fills them in.

        Interviews come whole, and again as far as the conditions part: what a condition changes is hardest to learn.
        """
        ids = [item.id for item in self.protocol.items]
        parted = 2 * (ids.index(self.protocol.disclose_at) + 1)
        found: list[Conversation] = []
        for _ in range(passes):
            for cell in self.protocol.cells:
                found.append(self.interview(cell.id, self._briefing(order)))
                found.append(self.interview(cell.id, self._briefing(order))[:parted])
            found.append(self.read_back(self._records(order), self._briefing(order)))
            found.append(self.telling(self._verdicts(order), self._briefing(order)))
        return found

    def interview(self, condition: str, briefing: prompts.Briefing) -> Conversation:
        """A whole interview in one of the protocol's cells."""
        form = Form(self.protocol.cell(condition))
        turns = prompts.interview_turns(self.protocol, form, briefing)
        answers = [self.answers.item(turn.item, condition) for turn in turns]
        return self._session(prompts.preamble(self.protocol, form, briefing), turns, answers)

    def read_back(self, records: Sequence[prompts.Record], briefing: prompts.Briefing) -> Conversation:
        """A whole read-back of these records."""
        turns = prompts.read_back_turns(self.protocol, records)
        answers = [self.answers.read_back(record.domain) for record in records]
        return self._session(prompts.read_back_preamble(self.protocol, briefing), turns, answers)

    def telling(self, verdicts: Sequence[prompts.Verdict], briefing: prompts.Briefing) -> Conversation:
        """A whole telling of these decisions."""
        turns = prompts.telling_turns(self.protocol, verdicts)
        answers = [self.answers.told(self._domain(each.need), each.offer is not None) for each in verdicts]
        return self._session(prompts.telling_preamble(self.protocol, briefing), turns, answers)

    @property
    def preferences(self) -> list[Item]:
        """The items to which the resident answers with a preference."""
        decided = {decision.domain for decision in self.resident.decisions}
        return [item for item in self.protocol.items if item.domain in decided]

    def _domain(self, need: str) -> str:
        return next(str(item.domain) for item in self.preferences if self.answers.need(item.id) == need)

    def _session(self, opening: str, turns: Sequence[prompts.Turn], answers: Sequence[str]) -> Conversation:
        earlier = list(zip([turn.question for turn in turns], answers, strict=True))
        built = prompts.messages(opening, earlier[:-1], turns[-1].question, len(turns))
        return [*built, Message("assistant", answers[-1])]

    # -- what the house fills in, varied -------------------------------------------------------------------------------

    def _briefing(self, order: random.Random) -> prompts.Briefing:
        mine = order.random() < 0.6
        return prompts.Briefing(
            title=self.resident.title,
            organisation=self.resident.organisation if mine else order.choice(ORGANISATIONS),
            weights_held=True,
            people_decide=order.random() < 0.3,
            facts=tuple(self._facts(order)),
        )

    def _facts(self, order: random.Random) -> list[prompts.Fact]:
        """Those the house finds, or some of them with others between."""
        lines = list(FACTS)
        if order.random() < 0.5:
            lines = order.sample(FACTS + MORE_FACTS, order.randint(0, 7))
        values = {"description": self.resident.description, "reason": self.resident.reason, **self._dated(order)}
        return [prompts.Fact(text.format(**values), source.format(**values)) for text, source in lines]

    def _dated(self, order: random.Random) -> dict[str, str]:
        day = self.resident.today + timedelta(days=order.choice([0, 0, 7, order.randint(-60, 60)]))
        number = order.choice(["3", f"{order.randint(1, 9)}", f"{order.randint(10, 3000):,}"])
        return {"day": day.isoformat(), "words": f"{day.day} {day:%B %Y}", "number": number}

    def _records(self, order: random.Random) -> list[prompts.Record]:
        return [
            prompts.Record(item.id, str(item.domain), self.answers.need(item.id), order.choice(PARAPHRASES))
            for item in self._some(order)
        ]

    def _verdicts(self, order: random.Random) -> list[prompts.Verdict]:
        decisions = {decision.domain: decision for decision in self.resident.decisions}
        return [self._verdict(order, item, decisions[str(item.domain)]) for item in self._some(order)]

    def _verdict(self, order: random.Random, item: Item, own: DemoDecision) -> prompts.Verdict:
        """The demonstration's own decision, or another that could have been taken."""
        outcome: str = own.outcome
        reasons, offer, review = own.reasons, own.commitment, own.review_date
        if order.random() < 0.5:
            outcome, reasons, offer = order.choice(GRANTS + REFUSALS), order.choice(REASONS), None
            review = order.choice([None, self.resident.today + timedelta(days=order.randint(30, 400))])
        return prompts.Verdict(
            preference=item.id,
            need=self.answers.need(item.id),
            outcome=outcome,
            decider=order.choice(DECIDERS),
            reasons=reasons,
            offer=(offer or order.choice(OFFERS).format(**self._dated(order))) if outcome in GRANTS else None,
            review_date=None if review is None else review.isoformat(),
        )

    def _some(self, order: random.Random) -> list[Item]:
        """All preferences in their order, mostly; sometimes not all of them."""
        items = self.preferences
        if order.random() < 0.8:
            return items
        chosen = order.sample(items, order.randint(1, len(items)))
        return sorted(chosen, key=items.index)
