"""The form of what a process tells its operator."""

from __future__ import annotations

import json
import logging


class JsonLines(logging.Formatter):
    """One JSON object per line; exceptions by type only, since their messages may hold what a person sent."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=False)
