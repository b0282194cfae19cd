"""Who wrapped a data key, which are retired, and how far their rotation is."""

from alembic import op

from libs.sealing.tables import rotation_tables

revision = "key_rotation"
down_revision = "0005"


def upgrade() -> None:
    op.execute(rotation_tables("enrollment"))
