"""Stores of sealed objects, addressed by their anchored digest. They take sealed types only, never plaintext."""

from domain.ports import BlobStore
from offchain.envelope.sealed import SealedBytes, SealedObject, SealedStream

SealedStore = BlobStore[SealedBytes, SealedStream, SealedObject]
"""What every store here is."""
