"""The hospitals of the sharing tests."""

from __future__ import annotations

from tests.unit.node_service.sharing.conftest import consortium, story, template

__all__ = ["consortium", "story", "template"]
