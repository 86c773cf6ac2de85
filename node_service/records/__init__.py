"""Records of the own hospital: persons, writing, ingestion, reading, evidence."""
