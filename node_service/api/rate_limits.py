"""Limits on how often an address may use routes that need no credentials: a token bucket each, in bounded memory."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from node_service.api.problems import TooManyRequests

_IPV6_PREFIX: Final = 64


@dataclass(frozen=True, slots=True)
class Rate:
    """``burst`` requests at once, ``per_s`` more each second, for each of ``max_addresses`` remembered addresses."""

    burst: int
    per_s: float
    max_addresses: int = 10_000


class RateLimit:
    """Token buckets by client address; the address unused for longest is forgotten first."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> None:
        """Count one request.

        Raises:
            TooManyRequests: the bucket of the address is empty.
        """
        key, now = _network(address), self._clock()
        tokens, at = self._buckets.pop(key, (float(self._rate.burst), now))
        tokens = min(float(self._rate.burst), tokens + (now - at) * self._rate.per_s)
        self._buckets[key] = (max(tokens - 1, 0.0) if tokens >= 1 else tokens, now)
        if len(self._buckets) > self._rate.max_addresses:
            self._buckets.popitem(last=False)
        if tokens < 1:
            raise TooManyRequests("too many requests from this address; try again in a moment")


def _network(address: str) -> str:
    """One IPv4 address, or the /64 that one IPv6 subscriber has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False))
    return str(parsed)
