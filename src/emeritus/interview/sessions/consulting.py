"""Consulting an interviewer model: each call on disk before and after it is made, as calls to the interviewed one are.

What it produced in a call that is on disk is used when a session is taken up again: it is not asked twice for one
question. Knows no order of turns, no database and no act.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emeritus.engines.base import Awake, Message
from emeritus.errors import ContextTooLong, EmeritusError
from emeritus.interview.sessions.asking import Asking, Heard, as_failure, as_said, build_of, is_passing, sampling_for
from emeritus.interview.sessions.interviewer import SHOWN, FollowUp, asked_of, read_follow_up, sampling_of
from emeritus.interview.sessions.journal import raw_field, readable
from emeritus.interview.sessions.transcript import Attempt

MOST_TEXT = 2400  # characters of what it produced that stand beside the question; the call's line has all of it
UNFIT = "does not fit"  # the reason of a `passed` line where not even one exchange fits the interviewer


@dataclass(frozen=True, slots=True)
class Consulting:
    """An interviewer model at work in one session. `asking` is the session's own: its journal, patience, exchanges."""

    awake: Awake
    name: str
    asking: Asking
    leading: Sequence[str]  # words that no added question may hold

    async def follow_up(self, after: int, earlier: Sequence[Attempt]) -> FollowUp:
        """What is to be asked after a turn; `earlier` are the calls about it that the journal holds already.

        Fails as asking a turn does: passing failures are tried again within the session's patience, others once more,
        and every try is recorded; then it raises what the last one failed with.
        """
        said = next((each.text for each in earlier if each.outcome == "answered"), None)
        if said is not None:
            return read_follow_up(said, self._by(said), self.leading)
        number, failures, shown = len(earlier), 0, SHOWN
        while True:
            number += 1
            try:
                said = await self._call(after, number, shown)
            except ContextTooLong:
                if shown == 1:
                    return FollowUp(None, UNFIT, self._by(""))
                shown = 1
            except EmeritusError as error:
                if "finish_reason" in error.facts:  # a tool call, a filter: that is what it had to say
                    return FollowUp(None, f"broken off: {error.facts['finish_reason']}", self._by(""))
                failures += 1
                if failures >= (self.asking.patience.tries if is_passing(error) else 2):
                    raise
                if is_passing(error):
                    await self.asking.patience.sleep(self.asking.patience.wait_s(failures, error))
            else:
                return read_follow_up(said, self._by(said), self.leading)

    async def _call(self, after: int, number: int, shown: int) -> str:
        journal, clock = self.asking.journal, self.asking.clock
        given = (Message("user", asked_of(self.asking.earlier[-shown:])),)
        sampling = sampling_of(sampling_for(journal.header["sampling"], self.awake))
        request = {
            "after": after,
            "attempt": number,
            "name": self.name,
            "at": clock(),
            "messages": as_said(given),
            "sampling": sampling.as_dict(),
            "build": build_of(self.awake),
        }
        await asyncio.to_thread(journal.consulted, request)
        heard = Heard()
        try:
            answer = await heard.all_of(self.awake, given, sampling)
        except Exception as error:  # whatever it was, the call was made: it is recorded before it is raised
            failure = {"failed_at": clock(), "error": as_failure(error), **heard.half()}
            await asyncio.to_thread(journal.consultation, request, "failed", failure)
            raise
        said = readable(answer.text)
        result = {
            "answered_at": clock(),
            "text": said,
            "finish_reason": answer.finish_reason,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "raw": raw_field(answer.raw),
            **heard.bounds(),
        }
        await asyncio.to_thread(journal.consultation, request, "answered", result)
        return said

    def _by(self, said: str) -> Mapping[str, Any]:
        return {"kind": "model", "name": self.name, "text": said[:MOST_TEXT]}
