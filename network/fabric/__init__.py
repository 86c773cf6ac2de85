"""The channel on a Hyperledger Fabric network: a Gateway client, and the port ``Ledger`` over it."""
