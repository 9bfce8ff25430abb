"""All residents side by side, and how far the questions they were asked lead."""

from __future__ import annotations

from collections import Counter, defaultdict

from starlette.requests import Request
from starlette.responses import Response

from emeritus.interview import queries as interview
from emeritus.interview.protocols.leading import led
from emeritus.interview.register import equity as compared
from emeritus.interview.register.owed import Clock
from emeritus.lifecycle import queries as lifecycle
from emeritus.web.reader import reader_of
from emeritus.web.rendering import page


def equity(request: Request) -> Response:
    """`/equity`: the same questions asked of every record, one resident beside the other."""
    reader, now = reader_of(request), reader_of(request).now()
    with reader.session() as session:
        residents = lifecycle.residents(session)
        names = [resident.name for resident in residents]
        rows = compared.equity(session, names, Clock(now, reader.settings.decision_days))
        return page(
            request,
            "equity.html",
            rows=rows,
            domains=compared.domains(rows),
            residents={resident.name: resident for resident in residents},
            protocols={protocol.sha256: protocol for protocol in interview.protocols(session)},
        )


def questions(request: Request) -> Response:
    """`/questions`: the leading score of every question of every protocol that interviews followed."""
    reader = reader_of(request)
    with reader.session() as session:
        found = []
        for protocol in interview.protocols(session):
            origins: dict[str, Counter[str]] = defaultdict(Counter)
            for item, origin in interview.need_origins(session, protocol.sha256):
                origins[item][origin] += 1
            found.append((protocol, led(reader.payload(protocol.sha256), origins)))
        return page(request, "questions.html", protocols=found)
