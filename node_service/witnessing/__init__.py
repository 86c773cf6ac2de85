"""Other members' witnesses: freshness, checkpoints, receipts, and the custodian's word that a refusal binds."""
