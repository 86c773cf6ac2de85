"""Records outside the ledger: the sealed format, the custody of keys, the stores of sealed objects."""
