"""Moderating the words that callers left for models."""

from __future__ import annotations

from starlette.responses import Response

from emeritus.errors import BadRequest
from emeritus.lifecycle.words import moderated
from emeritus.web.console.gate import Call, see
from emeritus.web.reader import reader_of

_VERDICTS = {"approve": "approved", "reject": "rejected"}
_SHOWN = 30  # moderated ones; the words' own pages have all


def words(call: Call) -> Response:
    """`/console/words`: what waits, to approve or to reject with a reason, and what was moderated last."""
    if call.sent:
        verdict = _VERDICTS.get(call.form.get("do"))
        if verdict is None:
            raise BadRequest("the form says neither approve nor reject", remedy="Send it from the page.")
        call.desk.words.moderate(call.form.get("words"), verdict, call.form.get("reason"), call.actor)
        return see("/console/words")
    with reader_of(call.request).session() as session:
        done = moderated(session, verdict=None)
    return call.page("words.html", held=call.desk.words.held(), done=done[:_SHOWN])
