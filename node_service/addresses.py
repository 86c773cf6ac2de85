"""Where other hospitals are: the ledger's registry is other people's input and is believed only within limits."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from domain.errors import Denied, NotFound
from node_service.context import Node
from node_service.ledger_sync.registry import active_organization
from node_service.settings import Settings

_LOOPBACK_NAME: Final = "localhost"


def node_address(node: Node, msp_id: str) -> str:
    """The address of a hospital's node.

    Raises:
        NotFound: the registry has no such active member.
        Denied: its address is not among those that the own administrator allowed.
    """
    with node.database.reading() as session:
        member = active_organization(session, msp_id)
    if member is None:
        raise NotFound("there is no such hospital in the registry", reason="no-organization", place=msp_id)
    return check_address(node.settings, member.url)


def check_address(settings: Settings, url: str) -> str:
    """The address if it may be called: https and on the administrator's list; in the demo, loopback without a list.

    Raises:
        Denied: otherwise; a redirect or a metadata service inside the own network is what it could have been.
    """
    address, parts = url.rstrip("/"), urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Denied("the hospital's address has more than scheme, host, port and path", reason="address")
    if settings.profile == "demo" and not settings.allowed_nodes:
        if parts.scheme not in ("http", "https") or not _is_loopback(parts.hostname):
            raise Denied("without a list of allowed nodes only this machine is called", reason="address")
        return address
    if address not in {allowed.rstrip("/") for allowed in settings.allowed_nodes}:
        raise Denied("the hospital's address is not on the list of allowed nodes", reason="address")
    if settings.profile != "demo" and parts.scheme != "https":
        raise Denied("other hospitals are called by https only", reason="address")
    if settings.profile == "production" and _is_private(parts.hostname):
        raise Denied("in production no private address is called", reason="address")
    return address


def _is_loopback(host: str | None) -> bool:
    address = _literal(host)
    return host == _LOOPBACK_NAME or (address is not None and address.is_loopback)


def _is_private(host: str | None) -> bool:
    address = _literal(host)
    return host == _LOOPBACK_NAME or (address is not None and not address.is_global)


def _literal(host: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host or "")
    except ValueError:
        return None
