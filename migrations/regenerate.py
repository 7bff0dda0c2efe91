"""Write versions/0001_initial.py anew from the models (only until the first release)."""

import shutil
import tempfile
from pathlib import Path

from alembic import command

from portal.db import alembic_config

versions = Path(__file__).parent / "versions"
for old in versions.glob("0001_*.py"):
    old.unlink()
with tempfile.TemporaryDirectory() as folder:
    later = [path for path in versions.glob("0*.py") if not path.name.startswith("0001_")]
    for path in later:  # they follow 0001, which does not exist while it is written
        shutil.move(path, Path(folder) / path.name)
    try:
        config = alembic_config(f"sqlite:///{folder}/x.sqlite3")
        command.revision(config, message="initial", autogenerate=True, rev_id="0001")
    finally:
        for path in later:
            shutil.move(Path(folder) / path.name, path)
path = versions / "0001_initial.py"
text = path.read_text().replace("portal.db.UtcDateTime(", "sa.DateTime(")
path.write_text(text)
