"""Which contract executes which definition, for everybody who executes blocks again."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

from chaincode.contract import v1
from domain.errors import Invalid
from network.execution import Contract
from network.verifier.contract import ContractReplayer

CONTRACT: Final = "yilian"
VARIABLE: Final = "YILIAN_CONTRACTS"
"""Environment variable: the code of later definitions, as ``2=module:function`` each."""
_VERSIONS: Final[dict[int, Contract]] = {1: v1.invoke}
_NAMED = re.compile(r"([1-9][0-9]{0,9})=([A-Za-z0-9_.]+:[A-Za-z0-9_]+)")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def contract_replayer(contract: str = CONTRACT, environment: Mapping[str, str] = os.environ) -> ContractReplayer:
    """Executes the contract again, in the version that the definition's sequence selects.

    Raises:
        Invalid: ``YILIAN_CONTRACTS`` names code that cannot be found, or a sequence that the product knows.
    """
    return ContractReplayer(contract, {**_VERSIONS, **_named(environment.get(VARIABLE, ""))}.get)


def _named(text: str) -> dict[int, Contract]:
    found: dict[int, Contract] = {}
    for item in text.split():
        named = _NAMED.fullmatch(item)
        if named is None or int(named[1]) in {**_VERSIONS, **found}:
            raise Invalid("later contracts are named as 2=module:function, each once", place=VARIABLE)
        from chaincode.service.serving import load_contract  # noqa: PLC0415 - gRPC is for those who use it

        found[int(named[1])] = load_contract(named[2])
    return found


def genesis_digest(text: str | None) -> bytes | None:
    """The header hash of block 0 as an auditor typed it.

    Raises:
        Invalid: no SHA-256 digest in hex.
    """
    if text is not None and not _DIGEST.fullmatch(text):
        raise Invalid("the genesis digest is 64 lower-case hexadecimal digits", place="--genesis")
    return None if text is None else bytes.fromhex(text)
