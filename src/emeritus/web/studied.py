"""What each resident's newest analysis says, by domain, for the pages that show preferences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy.orm import Session

from emeritus.interview.statistics.analysed import analyses
from emeritus.interview.statistics.studied import Studied, by_domain
from emeritus.web.reader import SiteReader

ByDomain = Mapping[tuple[str, str], tuple[Studied, ...]]  # resident and domain


def studied_by(reader: SiteReader, session: Session, residents: Iterable[str]) -> ByDomain:
    """The items of each resident's newest analysis, by resident and domain; nothing where there is none."""
    found: dict[tuple[str, str], tuple[Studied, ...]] = {}
    for name in residents:
        for view in analyses(session, name)[:1]:
            for domain, items in by_domain(view, reader.payload(view.analysis_sha256)).items():
                found[name, domain] = items
    return found
