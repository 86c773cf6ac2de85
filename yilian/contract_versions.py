"""Which contract executes which definition, for everybody who executes blocks again."""

from __future__ import annotations

import re
from typing import Final

from chaincode.contract import v1
from domain.errors import Invalid
from network.verifier.contract import ContractReplayer

CONTRACT: Final = "yilian"
_VERSIONS: Final = {1: v1.invoke}
_DIGEST = re.compile(r"[0-9a-f]{64}")


def contract_replayer(contract: str = CONTRACT) -> ContractReplayer:
    """Executes the product's contract again, in the version that the definition's sequence selects."""
    return ContractReplayer(contract, _VERSIONS.get)


def genesis_digest(text: str | None) -> bytes | None:
    """The header hash of block 0 as an auditor typed it.

    Raises:
        Invalid: no SHA-256 digest in hex.
    """
    if text is not None and not _DIGEST.fullmatch(text):
        raise Invalid("the genesis digest is 64 lower-case hexadecimal digits", place="--genesis")
    return None if text is None else bytes.fromhex(text)
