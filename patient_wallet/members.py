"""Whose signatures the wallet trusts: the members of the channel as several hospitals read them from the ledger.

One hospital could name members that do not exist. So the views of several are compared, and they must agree; whoever
fears that all of them lie together takes the members file from elsewhere (``yilian audit members``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from domain.errors import Tampered, Unavailable, YilianError
from domain.identifiers import decode_bytes
from domain.receipt_form import Member, Members, parse_members
from node_service.client.receipt_wire import Registry
from node_service.client.wallet_client import WalletClient

MAX_VIEWS: Final = 5
MAX_ASKED: Final = 16
WITHIN_S: Final = 20.0
BOX: Final = "members"


@dataclass(frozen=True, slots=True)
class KnownMembers:
    """The active members.

    Attributes:
        file: what receipts are verified against.
        urls: addresses of the members' nodes.
        signing: their present ``signing`` keys, base64url.
        compared: hospitals whose views agreed.
    """

    file: Members
    urls: dict[str, str]
    signing: dict[str, tuple[str, ...]]
    compared: tuple[str, ...]

    @property
    def has_witnesses(self) -> bool:
        """Whether any member's witness signs; without, nothing can be proven."""
        return any(member.witness for member in self.file.members)

    @property
    def single_operator(self) -> bool:
        """One operator holds all keys of this ledger, so that a receipt is one party's word."""
        return self.file.ledger == "embedded"

    def signing_keys(self, msp_id: str) -> list[bytes]:
        """The keys by which a member's word is verified; none for strangers."""
        return [decode_bytes(key, "signing") for key in self.signing.get(msp_id, ())]

    def to_box(self) -> dict[str, Any]:
        """The content of the vault's box."""
        return {
            "file": self.file.encode().decode(), "urls": self.urls,
            "signing": {msp: list(keys) for msp, keys in self.signing.items()}, "compared": list(self.compared),
        }  # fmt: skip

    @classmethod
    def from_box(cls, box: dict[str, Any]) -> KnownMembers:
        """Read the content of the vault's box."""
        signing = {msp: tuple(keys) for msp, keys in box["signing"].items()}
        return cls(parse_members(box["file"].encode()), dict(box["urls"]), signing, tuple(box["compared"]))


def gather(client: Callable[[str], WalletClient], channel: str, known: Sequence[str]) -> KnownMembers:
    """Ask hospitals for the members, those that an answer names too; all that answer must agree.

    Whoever names a thousand members that never answer does not hold a refusal up by it.

    Args:
        known: addresses to begin with, the custodian's first.

    Raises:
        Unavailable: nobody answers.
        Tampered: two hospitals name different members, keys or addresses, or one answers what cannot be.
    """
    views: dict[str, KnownMembers] = {}
    waiting = list(dict.fromkeys(url.rstrip("/") for url in known))
    asked: set[str] = set()
    failed: YilianError | None = None
    deadline = time.monotonic() + WITHIN_S
    while waiting and len(views) < MAX_VIEWS and len(asked) < MAX_ASKED and time.monotonic() < deadline:
        url = waiting.pop(0)
        asked.add(url)
        try:
            view = _view(client(url).registry_view(), channel)
        except Tampered:
            raise
        except YilianError as error:
            failed = error  # down, or of a version that does not tell
            continue
        views[url] = view
        waiting += [one for one in view.urls.values() if one not in asked and one not in waiting]
    if not views:
        raise Unavailable("no hospital tells who the members are", reason="no-members") from failed
    first = next(iter(views.values()))
    if any((view.file, view.urls, view.signing) != (first.file, first.urls, first.signing) for view in views.values()):
        raise Tampered("the hospitals do not agree on who the members are", reason="members-differ")
    compared = sorted({msp for msp, url in first.urls.items() if url in views})
    return KnownMembers(first.file, first.urls, first.signing, tuple(compared))


def renewed(before: KnownMembers | None, now: KnownMembers) -> KnownMembers:
    """What is believed after asking anew: nothing on the word of fewer hospitals than before."""
    return now if before is None or set(before.compared) <= set(now.compared) else before


def _view(answer: Registry, channel: str) -> KnownMembers:
    if answer.channel != channel:
        raise Tampered("a hospital tells of another channel", reason="members-differ")
    active = [member for member in answer.members if member.status == "active"]
    try:
        listed = tuple(Member(member.msp_id, tuple(sorted(member.witness_keys))) for member in active)
        file = Members(answer.channel, answer.ledger, tuple(sorted(listed, key=lambda one: one.msp)))
    except YilianError as error:
        raise Tampered("a hospital tells of members that cannot be", reason="members-form") from error
    return KnownMembers(
        file,
        {member.msp_id: member.url.rstrip("/") for member in active},
        {member.msp_id: tuple(sorted(member.signing_keys)) for member in active},
        (),
    )
