"""Backup of a node and its restore (docs/operations.md, “Backup”)."""
