"""What a gateway's error means: the contract's own answer, or a network that could not be asked."""

from __future__ import annotations

import re
from typing import Final

from domain.errors import Unavailable, YilianError
from network.fabric.gateway import GatewayError
from network.refusal import contract_error

_ANSWER: Final = re.compile(r"chaincode response ([0-9]{3}), (.*)", re.DOTALL)
_TAKEN: Final = re.compile(r"already (processed|exists)")


def refusal(error: GatewayError, msp: str) -> YilianError | None:
    """The contract's answer in an error, that of the organisation's own peer first; None where there is none."""
    own = [detail.message for detail in error.details if detail.msp_id == msp]
    others = [detail.message for detail in error.details if detail.msp_id != msp]
    for text in (*own, *others, error.message):
        found = _ANSWER.search(text)
        if found is not None:
            return contract_error(int(found[1]), found[2])
    return None


def is_answer(text: str) -> bool:
    """Whether a peer passes the contract's own answer on."""
    return _ANSWER.search(text) is not None


def is_taken(error: GatewayError) -> bool:
    """Whether the orderers have the transaction already; so they say under BFT ordering (SmartBFT's request pool)."""
    return any(_TAKEN.search(text) for text in (error.message, *(detail.message for detail in error.details)))


def unavailable(error: GatewayError) -> Unavailable:
    """A network that could not be asked; the gRPC status says more and carries nobody's data."""
    code = "NO_STATUS" if error.code is None else error.code.name
    return Unavailable(f"the network cannot be asked: {code}", reason="network")
