"""The hospital of the record tests."""

from tests.unit.node_service.records.conftest import hospital

__all__ = ["hospital"]
