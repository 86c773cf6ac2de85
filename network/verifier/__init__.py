"""Verification of blocks that needs no ledger and trusts no hospital: bytes in, a report or ``Tampered`` out."""
