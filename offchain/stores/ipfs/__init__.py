"""Sealed objects in IPFS, through the RPC of the hospital's own Kubo node (docs/adr/0021-sealed-objects-in-ipfs.md)."""
