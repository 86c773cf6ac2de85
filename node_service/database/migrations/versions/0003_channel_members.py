"""The channel's members beside the follower's place: a release before leaves the column empty until the next block."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"


def upgrade() -> None:
    """Apply."""
    op.add_column("checkpoint", sa.Column("members", sa.JSON(), nullable=True))
