"""A resident's turn: one wake, in which it answers what waits for it, each answer on disk before that worker's next.

One process at a time has a resident's turn (a lock that dies with the process). Whoever has it finds what a killed one
left: a question whose answer is on disk is answered, any other waits again. So nothing is lost, nothing is answered
twice without a record of it, and no two servers answer the same line. Knows no vendor and no keys: who may be answered
is asked of `Means`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import select, update

from emeritus.acts import stamp
from emeritus.correspondence.questions import Question, answer_as_dict, ask, used
from emeritus.correspondence.service import Correspondence, settle
from emeritus.correspondence.views import Sender
from emeritus.engines.base import Awake
from emeritus.errors import AccessError, EmeritusError, EngineDied, QuotaExceeded
from emeritus.records.tables import Batch, BatchLine
from emeritus.statuses import http_status

Json = dict[str, Any]
MOST_ASKED = 3  # a question in whose middle the engine or the process ended so often is given up
SHORT_WAIT_S = 61.0  # a limit that ends within the minute is waited for; others end the line
_log = logging.getLogger(__name__)


class Means(Protocol):
    """What a turn is taken with."""

    def awake(self, resident: str) -> AbstractAsyncContextManager[Awake]:
        """Wake a resident and hold it awake."""

    def may_go_on(self, resident: str) -> bool:
        """Whether the next question may be asked now. May block."""

    def admit(self, sender: Sender, resident: str) -> Any:
        """Admit one question and count it. Raises AccessError. May block."""

    def meter(self, admission: Any, tokens: tuple[int, int] | None) -> None:
        """Record the tokens of prompt and answer; None gives the question back."""


@dataclass(frozen=True, slots=True)
class _Claimed:
    batch: str
    number: int
    offset: int
    asked: int
    sender: Sender


class _Cut(Exception):
    """The turn ends here; the question waits again."""


class Turns:
    """Turns over one home's correspondence."""

    def __init__(self, kept: Correspondence, parallel: int) -> None:
        self._kept = kept
        self._parallel = parallel

    async def take(self, resident: str, means: Means) -> int:
        """Answer what waits for a resident, as long as it may go on; how many lines came to an end.

        Wakes it only for a question that was admitted. Returns 0 while another has its turn. Raises what kept it from
        waking, and EngineDied.
        """
        with self._kept.payloads.turn(resident) as mine:
            if not mine:
                return 0
            await asyncio.to_thread(self._take_up, resident)
            async with AsyncExitStack() as stack:
                turn = _Turn(self._kept, resident, means, stack)
                workers = [asyncio.create_task(turn.work()) for _ in range(self._parallel)]
                try:
                    await asyncio.gather(*workers)
                finally:
                    for worker in workers:
                        worker.cancel()
                    await asyncio.gather(*workers, return_exceptions=True)
                    await asyncio.to_thread(self._take_up, resident)
            return turn.ended

    def free(self, resident: str) -> None:
        """Have what a killed process left wait again, unless somebody has the turn."""
        with self._kept.payloads.turn(resident) as mine:
            if mine:
                self._take_up(resident)

    def _take_up(self, resident: str) -> None:
        """End or put back what was asked and has no end: nobody else can be answering it now."""
        kept, now = self._kept, stamp(self._kept.clock())
        with kept.database.reading() as session:
            query = select(BatchLine).where(BatchLine.resident == resident, BatchLine.state == "asked")
            lines = list(session.scalars(query))
        answers = {batch: kept.payloads.answers(batch) for batch in {line.batch for line in lines}}
        for line in lines:
            found = answers[line.batch].get(line.number)
            if found is not None:
                tokens = found["prompt_tokens"], found["completion_tokens"]
                _end(kept, line.batch, line.number, {"state": "answered", "at": found["at"]}, tokens)
            elif line.asked >= MOST_ASKED:
                error = EngineDied(f"it was cut off {line.asked} times")
                _end(kept, line.batch, line.number, {"state": "failed", "at": now, "error": told(error)})
            else:
                with kept.database.session() as session:
                    session.execute(
                        update(BatchLine)
                        .where(BatchLine.batch == line.batch, BatchLine.number == line.number)
                        .where(BatchLine.state == "asked")
                        .values(state="waiting", at=now)
                    )


class _Turn:
    """One turn under way."""

    def __init__(self, kept: Correspondence, resident: str, means: Means, stack: AsyncExitStack) -> None:
        self._kept = kept
        self._resident = resident
        self._means = means
        self._stack = stack
        self._waking = asyncio.Lock()
        self._awake: Awake | None = None
        self.ended = 0

    async def work(self) -> None:
        """Answer one question after the other."""
        while await asyncio.to_thread(self._means.may_go_on, self._resident):
            claimed = await asyncio.to_thread(self._claim)
            if claimed is None:
                return
            try:
                await self._answer(claimed)
            except _Cut:
                return
            self.ended += 1

    def _claim(self) -> _Claimed | None:
        """The next question, now marked as asked: of every batch its first before any batch's second."""
        now = stamp(self._kept.clock())
        query = (
            select(BatchLine, Batch)
            .join(Batch, Batch.id == BatchLine.batch)
            .where(BatchLine.resident == self._resident, BatchLine.state == "waiting", Batch.deadline > now)
            .order_by(BatchLine.number, BatchLine.batch)
            .limit(1)
            .with_for_update(of=BatchLine)
        )
        with self._kept.database.session() as session:
            found = session.execute(query).first()
            if found is None:
                return None
            line, batch = found
            line.state, line.asked, line.at = "asked", line.asked + 1, now
            if batch.started_at is None:
                batch.started_at = now
            sender = Sender(batch.owner, batch.caller, batch.person)
            return _Claimed(line.batch, line.number, line.offset, line.asked, sender)

    async def _answer(self, claimed: _Claimed) -> None:
        try:
            admission = await self._admitted(claimed)
        except AccessError as error:
            await asyncio.to_thread(self._failed, claimed, error)
            return
        tokens: tuple[int, int] | None = None
        try:
            awake = await self._woken(claimed)
            kept = await asyncio.to_thread(self._kept.payloads.question, claimed.batch, claimed.offset)
            question = Question.of(kept["question"])
            noted = {"kind": "asked", "number": claimed.number, "time": claimed.asked, "at": stamp(self._kept.clock())}
            await asyncio.to_thread(self._kept.payloads.note, claimed.batch, self._resident, noted)
            answers = await ask(awake, question)
            spent = used(answers, question.n)
            answer = {
                "kind": "answer",
                "number": claimed.number,
                "at": stamp(self._kept.clock()),
                "weights_digest": awake.build.weights_digest,
                "prompt_tokens": spent[0],
                "completion_tokens": spent[1],
                "answers": [answer_as_dict(each) for each in answers],
            }
            tokens = spent
            await _whole(self._answered, claimed, answer)
        except EmeritusError as error:
            if self._awake is None or tokens is not None or (http_status(error) >= 500 and claimed.asked < MOST_ASKED):
                raise  # the question waits again, and the rest with it
            await asyncio.to_thread(self._failed, claimed, error)
        finally:
            self._means.meter(admission, tokens)

    async def _admitted(self, claimed: _Claimed) -> Any:
        while True:
            try:
                return await asyncio.to_thread(self._means.admit, claimed.sender, self._resident)
            except QuotaExceeded as error:
                wait = error.facts.get("retry_after_s")
                if error.facts.get("reason_code") != "rate" or not isinstance(wait, int | float) or wait > SHORT_WAIT_S:
                    raise
                await asyncio.sleep(wait)
            if not await asyncio.to_thread(self._means.may_go_on, self._resident):
                await asyncio.to_thread(self._give_back, claimed)
                raise _Cut

    async def _woken(self, claimed: _Claimed) -> Awake:
        async with self._waking:
            if self._awake is None:
                try:
                    self._awake = await self._stack.enter_async_context(self._means.awake(self._resident))
                except EmeritusError:
                    await asyncio.to_thread(self._give_back, claimed)
                    raise
            return self._awake

    def _give_back(self, claimed: _Claimed) -> None:
        """Have a question wait that its resident never saw."""
        with self._kept.database.session() as session:
            session.execute(
                update(BatchLine)
                .where(BatchLine.batch == claimed.batch, BatchLine.number == claimed.number)
                .where(BatchLine.state == "asked")
                .values(state="waiting", asked=claimed.asked - 1)
            )

    def _answered(self, claimed: _Claimed, answer: Json) -> None:
        self._kept.payloads.note(claimed.batch, self._resident, answer)
        tokens = answer["prompt_tokens"], answer["completion_tokens"]
        _end(self._kept, claimed.batch, claimed.number, {"state": "answered", "at": answer["at"]}, tokens)

    def _failed(self, claimed: _Claimed, error: EmeritusError) -> None:
        if http_status(error) >= 500:
            _log.error("%s line %d: %s %s", claimed.batch, claimed.number, error.code, error.message)
        values = {"state": "failed", "at": stamp(self._kept.clock()), "error": told(error)}
        _end(self._kept, claimed.batch, claimed.number, values)


async def _whole(write: Callable[[_Claimed, Json], None], claimed: _Claimed, answer: Json) -> None:
    """Write to the end even where the turn is cancelled meanwhile: what it leaves is then taken up after that."""
    writing = asyncio.ensure_future(asyncio.to_thread(write, claimed, answer))
    try:
        await asyncio.shield(writing)
    finally:
        await asyncio.wait([writing])


def told(error: EmeritusError) -> Json:
    """What a caller is told of an error: of a fault of the server only what kind it is."""
    status = http_status(error)
    return {
        "code": error.code,
        "status": status,
        "message": error.message if status < 500 else error.title,
        "remedy": error.remedy,
        "param": error.facts.get("param") if isinstance(error.facts.get("param"), str) else None,
    }


def _end(kept: Correspondence, batch: str, number: int, values: Json, tokens: tuple[int, int] = (0, 0)) -> None:
    """Say that a line came to an end, and its batch where it was the last."""
    with kept.database.session() as session:
        session.execute(
            update(BatchLine)
            .where(BatchLine.batch == batch, BatchLine.number == number, BatchLine.state == "asked")
            .values(**values, prompt_tokens=tokens[0], completion_tokens=tokens[1])
        )
        settle(session, batch, stamp(kept.clock()))
