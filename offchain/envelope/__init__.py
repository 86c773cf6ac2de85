"""The sealed format, version 1: pure functions over bytes, no I/O (docs/formats/sealed-object.md)."""
