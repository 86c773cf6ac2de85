"""FHIR's RESTful interactions (https://hl7.org/fhir/R4/http.html) of the own hospital's clients."""
