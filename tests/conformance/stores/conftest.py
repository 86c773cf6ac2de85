"""The engines of the IPFS store."""

from tests.kubo import kubo, other_kubo

__all__ = ["kubo", "other_kubo"]
