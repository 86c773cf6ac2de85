"""HL7 Clinical Document Architecture, release 2: documents read by their header; pure."""
