"""The tables of a verdict store."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

verdicts = sa.Table(
    "verdicts",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    sa.Column("glossary", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("model", sa.String(64), nullable=False),
    sa.Column("question", sa.Text, nullable=False),
    sa.Column("verdict", sa.String(8), nullable=False),
    # The term that was judged, or is the right one; null for "none of these".
    sa.Column("term_id", sa.Text, nullable=True),
    # Ids of the answers that were shown, best first, each with its probability.
    sa.Column("shown", sa.JSON, nullable=False),
    sa.Column("person", sa.Text, nullable=True),
    sa.CheckConstraint("verdict IN ('right', 'wrong', 'none')", name="verdict_known"),
    sa.CheckConstraint("(verdict = 'none') = (term_id IS NULL)", name="term_given"),
)
sa.Index("verdicts_by_glossary", verdicts.c.glossary, verdicts.c.created)
sa.Index("verdicts_by_person", verdicts.c.person)
