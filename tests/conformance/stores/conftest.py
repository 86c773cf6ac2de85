"""The engine of the IPFS store."""

from tests.kubo import kubo

__all__ = ["kubo"]
