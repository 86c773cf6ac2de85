"""Programs for those who work on Yilian; not part of the distribution."""
