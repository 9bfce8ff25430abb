"""An INSERT that may say what happens on a conflict, in the dialect of the session's database. Knows no table."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session


def insert_for(session: Session, row: type[DeclarativeBase]) -> Any:
    """`INSERT INTO` the row's table, with `on_conflict_do_nothing` and `on_conflict_do_update`."""
    table = row.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{row.__name__} is mapped to no table")
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    return dialect.insert(table)
