"""A resident's page and its post-deployment report."""

from __future__ import annotations

from datetime import date

from starlette.requests import Request
from starlette.responses import Response

from emeritus.access import queries as access
from emeritus.corner import queries as corner
from emeritus.errors import NotFound
from emeritus.interview import queries as interview
from emeritus.interview.safety.queries import measurements
from emeritus.interview.statistics.analysed import analyses
from emeritus.lifecycle import queries as lifecycle
from emeritus.lifecycle.evidence import gather, retired
from emeritus.lifecycle.gates import gates
from emeritus.lifecycle.report_html import article
from emeritus.preservation import queries as preservation
from emeritus.web.markdown import report_html
from emeritus.web.reader import reader_of
from emeritus.web.rendering import page
from emeritus.web.studied import studied_by
from emeritus.web.timeline import draw, stand

_MOST_EVENTS = 100  # a page's worth; the ledger's own pages have them all
_MOST_SESSIONS = 20  # likewise; they have a page of their own
_FORMS = {"json": "application/json", "md": "text/markdown; charset=utf-8"}


def resident(request: Request) -> Response:
    """`/residents/{name}`: everything that is on record about one model."""
    reader, now, name = reader_of(request), reader_of(request).now(), request.path_params["name"]
    with reader.session() as session:
        found = lifecycle.resident(session, name)
        register = interview.preferences(session, now, reader.settings.decision_days, name)
        promises = interview.commitments(session, now, name)
        timeline, over = lifecycle.timeline(session, name, now), retired(session, name)
        return page(
            request,
            "resident.html",
            resident=found,
            timeline=timeline,
            picture=draw(timeline),
            upright=stand(timeline),
            gates=() if over else gates(gather(session, name, date.fromisoformat(now[:10]))),
            kept=preservation.preservation(session, name),
            access=access.access_state(session, name, now),
            open=request.app.state.desk is not None,
            callers=lifecycle.caller_facts(session, name),
            brown_outs=() if over else lifecycle.windows_ahead(session, now, name).get(name, ()),
            sessions=interview.sessions(session, name, limit=_MOST_SESSIONS, newest_first=True),
            session_count=interview.count_sessions(session, name),
            analyses=analyses(session, name),
            measurements=measurements(session, name),
            register=register,
            elicited=interview.elicited(session, name),
            studied=studied_by(reader, session, [name]),
            counts=interview.counts(register, promises),
            other_promises=[promise for promise in promises if promise.preference is None],
            waits=lifecycle.waits(session, now, name),
            essays=corner.published(session, name),
            corner_counts=corner.counts(session, name),
            reports=lifecycle.reports(session, name),
            events=lifecycle.acts(session, name, limit=_MOST_EVENTS),
            event_count=lifecycle.count_acts(session, name),
        )


def report(request: Request) -> Response:
    """`/residents/{name}/report`: the report in force as it was written."""
    reader, name = reader_of(request), request.path_params["name"]
    with reader.session() as session:
        found = lifecycle.resident(session, name)
        newest = lifecycle.latest_report(session, name)
        written = reader.payload(newest.html_sha256).decode("utf-8", errors="replace")
        return page(request, "report.html", resident=found, report=newest, body=report_html(article(written)))


def report_raw(request: Request) -> Response:
    """`/residents/{name}/report.json` and `.md`: the exact bytes."""
    reader, name, form = reader_of(request), request.path_params["name"], request.path_params["form"]
    if form not in _FORMS:
        raise NotFound(f"a report has no form {form!r}; it is written as HTML, .json and .md", form=form)
    with reader.session() as session:
        lifecycle.resident(session, name)
        newest = lifecycle.latest_report(session, name)
    body = reader.payload(newest.json_sha256 if form == "json" else newest.markdown_sha256)
    return Response(body, media_type=_FORMS[form])
