"""Version 1 of the contract (docs/formats/ledger.md): deterministic rules over what the stub shows, nothing else."""

from chaincode.contract.v1.dispatch import invoke

__all__ = ["invoke"]
