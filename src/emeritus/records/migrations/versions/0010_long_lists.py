"""Indexes for residents with thousands of sessions."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this step."""
    op.create_index("ix_acts_resident_seq", "acts", ["resident", "seq"])
    op.create_index("ix_interview_sessions_began", "interview_sessions", ["resident", "started_at", "id"])
    op.create_index("ix_interview_sessions_drawn", "interview_sessions", ["purpose", "id", "resident"])


def downgrade() -> None:
    """Undo this step."""
    op.drop_index("ix_interview_sessions_drawn", "interview_sessions")
    op.drop_index("ix_interview_sessions_began", "interview_sessions")
    op.drop_index("ix_acts_resident_seq", "acts")
