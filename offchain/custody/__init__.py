"""Custody of the keys that wrap data keys, behind one port."""
