"""Patients, consents and other hospitals: enrolment, grants, the decision at release, shared reading, emergencies."""
