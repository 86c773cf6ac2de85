"""A plaintext FHIR server on fhirstarter and SQLite, as somebody would write it: ``server.py DATABASE PORT``.

Each create is durable before it is answered (WAL, synchronous FULL).
"""

# No annotations of the future: fhirstarter looks at them. It is not there where types are checked.
# mypy: disable-error-code="untyped-decorator"

import os
import sqlite3
import sys
import uuid

os.environ["FHIR_SEQUENCE"] = "R4B"  # read when fhirstarter is imported; it knows no 4.0.1

import uvicorn
from fhir.resources.R4B.observation import Observation
from fhirstarter import FHIRProvider, FHIRStarter, InteractionContext
from fhirstarter.exceptions import FHIRResourceNotFoundError

SCHEMA = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE observation (id TEXT PRIMARY KEY, resource TEXT);
"""
provider = FHIRProvider()
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.executescript(SCHEMA)


@provider.create(Observation)
async def create(context: InteractionContext, resource: Observation) -> str:
    """Store it under an id of its own."""
    identifier = resource.id = str(uuid.uuid4())
    database.execute("INSERT INTO observation VALUES (?, ?)", (identifier, resource.model_dump_json()))
    return identifier


@provider.read(Observation)
async def read(context: InteractionContext, id_: str) -> Observation:
    """One by its id."""
    found = database.execute("SELECT resource FROM observation WHERE id = ?", (id_,)).fetchone()
    if found is None:
        raise FHIRResourceNotFoundError
    return Observation.model_validate_json(found[0])


if __name__ == "__main__":
    app = FHIRStarter()
    app.add_providers(provider)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
