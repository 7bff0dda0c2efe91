"""Write versions/0001_initial.py anew from the models (only until the first release)."""

import tempfile
from pathlib import Path

from alembic import command

from portal.db import alembic_config

versions = Path(__file__).parent / "versions"
for old in versions.glob("0001_*.py"):
    old.unlink()
with tempfile.TemporaryDirectory() as folder:
    config = alembic_config(f"sqlite:///{folder}/x.sqlite3")
    command.revision(config, message="initial", autogenerate=True, rev_id="0001")
path = versions / "0001_initial.py"
text = path.read_text().replace("portal.db.UtcDateTime(", "sa.DateTime(")
text = text.replace("from alembic import op\n", "from alembic import op\n\nfrom portal.db import UtcDateTime\n", 1)
path.write_text(text)
