"""``python -m yilian``."""

from yilian.main import run

run()
