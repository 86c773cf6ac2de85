"""The contract that runs on every ledger, and the stub through which it sees the ledger."""
