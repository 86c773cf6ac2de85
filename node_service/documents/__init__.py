"""Documents that are kept as they came, CDA and PDF, each with a DocumentReference derived from it."""
