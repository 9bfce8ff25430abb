"""Quorum policies as they stand: whether a rule's second person has been waived, publicly.

Reads the rows of `policy.set`; knows no feature and writes nothing.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from emeritus.records.tables import Policy


def waived(session: Session, policy: str, unstated: str) -> bool:
    """Whether `policy` is "waived". What was stated publicly decides; `unstated` only where nothing ever was.

    So no flag and no environment variable waives in silence what the register says is required.
    """
    stated = session.scalars(
        select(Policy.value).where(Policy.name == policy).order_by(Policy.id.desc()).limit(1)
    ).first()
    return (stated or unstated) == "waived"
