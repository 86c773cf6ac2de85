"""Revisions of the schema, oldest first; a released revision never changes."""
