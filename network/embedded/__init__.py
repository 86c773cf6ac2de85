"""The embedded ledger: one SQLite file that keeps Fabric's semantics and block format, for a laptop and for tests.

One operator holds every organisation's keys, so it proves nothing against that operator: receipts say
``single-operator``.
"""
