"""What each profile allows: the demo runs anywhere; production refuses whatever is only safe in a demo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from domain.errors import Invalid
from node_service.settings import Settings

KEY_ORIGIN_FILE: Final = "key-origin.json"


def check_profile(settings: Settings) -> None:
    """Refuse to start where settings or keys are weaker than the profile.

    Raises:
        Invalid: a node on Fabric that asks no witnesses; production on the embedded ledger or without a replica of the
            record secrets, addresses without https, or keys that were made for a demo.
    """
    if settings.fabric_connection is not None and settings.freshness == "ledger":
        raise Invalid(
            "on Fabric the ledger is the own peer, whose word alone releases nothing; set it to witnesses",
            reason="profile",
            place="YILIAN_FRESHNESS",
        )
    if settings.profile == "demo":
        return
    if not settings.public_url.startswith("https://"):
        raise Invalid("outside the demo the node's address is https", reason="profile", place="YILIAN_PUBLIC_URL")
    if any(not url.startswith("https://") for url in settings.allowed_nodes):
        raise Invalid(
            "outside the demo other nodes are called by https", reason="profile", place="YILIAN_ALLOWED_NODES"
        )
    if settings.freshness == "ledger":
        raise Invalid(
            "outside the demo other hospitals' witnesses say what is fresh; set it to witnesses",
            reason="profile",
            place="YILIAN_FRESHNESS",
        )
    if key_origin(settings.data_dir) == "demo":
        raise Invalid("the node's keys were made for a demo; initialise a new folder", reason="profile")
    if settings.profile == "production" and not settings.custody_replica:
        raise Invalid(
            "production needs a replica of the record secrets on a second host",
            reason="profile",
            place="YILIAN_CUSTODY_REPLICA",
        )
    if settings.profile == "production" and settings.fabric_connection is None:
        raise Invalid(
            "production needs a ledger of several operators; the embedded ledger proves nothing against its operator",
            reason="profile",
            place="YILIAN_LEDGER_DIR",
        )


def key_origin(data_dir: Path) -> str | None:
    """The profile under which the node's keys were made, None if there are none.

    Raises:
        Invalid: the note cannot be read.
    """
    try:
        note = json.loads((data_dir / KEY_ORIGIN_FILE).read_bytes())
        return str(note["profile"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise Invalid("the note on the origin of the node's keys cannot be read", reason="profile") from None


def note_key_origin(settings: Settings) -> None:
    """Write down for which profile the keys are made; an existing note stays."""
    path = settings.data_dir / KEY_ORIGIN_FILE
    if not path.exists():
        path.write_text(json.dumps({"v": 1, "profile": settings.profile}))
        path.chmod(0o600)
