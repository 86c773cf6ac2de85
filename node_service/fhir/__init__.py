"""Reading FHIR R4 (4.0.1) JSON: bytes in, values out; no database, store, ledger or HTTP."""
