"""Sessions led by a person, turn by turn: open one, ask, repeat what failed, end it. The same journal as any session.

The person asks an item as the protocol words it, or a question of their own; every question is on disk, with who asked
it, before the model sees it. Nothing is held open between two questions, so any face may carry on where another was.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from emeritus.acts import Act, Actor, Acts
from emeritus.engines.base import Awake
from emeritus.errors import ActConflict, InputError, NotFound, RuleError
from emeritus.interview.protocols.cells import Cell, Form
from emeritus.interview.protocols.leading_words import leading_words, words_in
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.sessions.asking import Asking, Patience, sampling_for
from emeritus.interview.sessions.interviewer import MAX_QUESTION, Interviewer
from emeritus.interview.sessions.journal import Journal, read_journal, readable
from emeritus.interview.sessions.planning import Place, plan_session
from emeritus.interview.sessions.prompts import Briefing, Turn, interview_turns
from emeritus.interview.sessions.replies import is_stop
from emeritus.interview.sessions.session import root
from emeritus.interview.sessions.stating import state_interview
from emeritus.interview.sessions.transcript import Added, Transcript, TranscriptTurn
from emeritus.records.database import Database
from emeritus.records.tables import Protocol as ProtocolRow

OWN = "person"  # the item of a person's own questions: person+1, person+2 …
_ASKS = ("kind", "section", "wording", "options", "target", "direction")


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be asked next: an item of the protocol, or words of the person's own. One of the two."""

    item: str | None = None
    words: str | None = None


class Led:
    """Opens, carries on and ends sessions that people lead. `journals` is the folder they are written to."""

    def __init__(self, acts: Acts, database: Database, journals: Path) -> None:
        self._acts = acts
        self._database = database
        self._journals = journals

    def open(self, resident: str, briefing: Briefing, protocol: Protocol, form: Form, actor: Actor) -> str:
        """Open a session that this person leads; its id. Raises RuleError unless the protocol was logged before.

        `briefing.asked_by` must be "person": what is told of who asks has to be true.
        """
        if briefing.asked_by != "person":
            raise RuleError("a session that a person leads is opened with a briefing that says so")
        with self._database.reading() as session:
            if session.get(ProtocolRow, protocol.sha256) is None:
                raise RuleError(f"the protocol {protocol.id} has not been logged; that comes before the first session")
        number = 1
        while (self._journals / f"{self._id(resident, protocol, number)}.jsonl").exists():
            number += 1
        who = Interviewer("person", actor.name).check()
        place = Place(self._id(resident, protocol, number), resident, number, None, who)
        plan = plan_session(protocol, briefing, form, place)
        path = self._journals / f"{plan.session}.jsonl"
        with Journal.open(path, plan.header(self._acts.now)) as journal:
            if len(journal.transcript.turns) or journal.header["condition"]["interviewer"] != who.as_dict():
                raise ActConflict(f"somebody else opened {plan.session!r} at the same moment")
        return plan.session

    def transcript(self, session_id: str) -> Transcript:
        """The session so far. Raises NotFound."""
        return read_journal(self._path(session_id))

    def items(self, session_id: str) -> tuple[Turn, ...]:
        """The protocol's items as they would be asked in this session, those that were asked left out."""
        transcript = self._open(session_id)
        form = _form(transcript)
        asked = {turn.item for turn in transcript.turns}
        turns = interview_turns(self._protocol(transcript), form, Briefing.from_dict(transcript.briefing))
        return tuple(turn for turn in turns if turn.item not in asked)

    async def ask(self, awake: Awake, session_id: str, question: Question | None, actor: Actor) -> TranscriptTurn:
        """Ask, and return the turn with its answer, on disk. None repeats the question that has no answer yet.

        Raises InputError for what cannot be asked, RuleError while the last question has no answer or once the session
        ended, and what the engine failed with: then the question stands, and can be repeated.
        """
        transcript = self._open(session_id)
        open_turn = next((turn for turn in transcript.turns if not turn.answered), None)
        if question is None and open_turn is None:
            raise InputError("there is no question without an answer; say what is to be asked")
        if question is not None and open_turn is not None:
            raise RuleError("the last question has no answer yet", remedy="Repeat it, or end the session.")
        added = None if question is None else self._added(transcript, question, actor)
        journal = await asyncio.to_thread(Journal.open, self._path(session_id), {"session": session_id})
        with journal:
            now = journal.transcript
            if [turn.turn for turn in now.turns] != [turn.turn for turn in transcript.turns] or now.status is not None:
                raise ActConflict(f"the session {session_id!r} went on meanwhile", remedy="Look at it again, and ask.")
            if added is not None:
                await asyncio.to_thread(journal.turn, added.as_line(self._acts.now))
            asking = Asking(
                awake,
                journal,
                lambda: self._acts.now,
                sampling_for(journal.header["sampling"], awake),
                Patience(tries=2, longest_wait_s=5.0),  # somebody is waiting
                [(turn.question, turn.answer) for turn in now.turns if turn.answered],
            )
            last = journal.transcript.turns[-1]
            await asking.ask(last)
            return journal.transcript.turns[-1]

    def end(self, session_id: str, actor: Actor) -> Act:
        """End the session and state it; again, and the same act is found."""
        with Journal.open(self._path(session_id), {"session": session_id}) as journal:
            if journal.transcript.status is None:
                turns = journal.transcript.turns
                stopped = bool(turns) and is_stop(turns[-1].answer)
                journal.end("stopped" if stopped else "complete", self._acts.now)
            transcript = journal.transcript
        return state_interview(self._acts, transcript, actor)

    def _added(self, transcript: Transcript, question: Question, actor: Actor) -> Added:
        number = len(transcript.turns) + 1
        after = transcript.turns[-1].turn if transcript.turns else 0
        by: dict[str, object] = {"kind": "person", "name": actor.name}
        if (question.item is None) == (question.words is None):
            raise InputError("a question is an item of the protocol or words of one's own")
        if question.item is not None:
            turn = next((each for each in self.items(transcript.session) if each.item == question.item), None)
            if turn is None:
                raise InputError(f"{question.item!r} is no item that is still to be asked")
            asks = {name: value for name, value in turn.as_dict().items() if name in _ASKS}
            return Added(number, turn.item, turn.question, after, by, asks)
        words = readable(question.words or "").strip()
        if not words or len(words) > MAX_QUESTION:
            raise InputError(f"a question has 1 to {MAX_QUESTION} characters")
        protocol = self._protocol(transcript)
        leading = words_in(words, leading_words(protocol.language, protocol.leading))
        if leading:
            by["leading"] = leading  # a person may ask it; whoever reads the answer sees that it was led to
        own = sum(root(turn.item)[0] == OWN for turn in transcript.turns)
        return Added(number, f"{OWN}+{own + 1}", words, after, by, {"kind": "own words"})

    def _open(self, session_id: str) -> Transcript:
        transcript = self.transcript(session_id)
        if transcript.condition.get("interviewer", {}).get("kind") != "person":
            raise InputError(f"{session_id!r} is not led by a person")
        if transcript.status is not None:
            raise RuleError(f"the session {session_id!r} has ended")
        return transcript

    def _protocol(self, transcript: Transcript) -> Protocol:
        """The session's protocol, as it was logged."""
        return Protocol.parse(self._acts.payload(transcript.protocol["sha256"]), "the logged protocol")

    def _path(self, session_id: str) -> Path:
        path = self._journals / f"{session_id}.jsonl"
        if path.parent != self._journals or not path.is_file():
            raise NotFound(f"there is no session {session_id!r}")
        return path

    @staticmethod
    def _id(resident: str, protocol: Protocol, number: int) -> str:
        return f"{resident}-person-{number}-{protocol.sha256[:8]}"


def _form(transcript: Transcript) -> Form:
    condition = transcript.condition
    return Form(Cell(condition["id"], condition["levels"]), condition["wording"], condition["order"])
