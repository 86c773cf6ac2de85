"""The patient's wallet: keys from words, statements, records opened with the patient's own wraps."""
