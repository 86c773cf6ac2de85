"""Measurements beside their named peers: ``python -m scripts.bench``."""
