"""The first table."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "verdicts",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("glossary", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("term_id", sa.Text, nullable=True),
        sa.Column("shown", sa.JSON, nullable=False),
        sa.Column("person", sa.Text, nullable=True),
        sa.CheckConstraint("verdict IN ('right', 'wrong', 'none')", name="verdict_known"),
        sa.CheckConstraint("(verdict = 'none') = (term_id IS NULL)", name="term_given"),
    )
    op.create_index("verdicts_by_glossary", "verdicts", ["glossary", "created"])
    op.create_index("verdicts_by_person", "verdicts", ["person"])


def downgrade() -> None:
    op.drop_table("verdicts")
