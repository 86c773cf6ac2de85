"""What sealed messages are bound to (the HPKE ``info`` list behind the format's own prefix), for both ends.

A message opened under another kind or other ids than it was sealed for does not open.
"""

from __future__ import annotations

Info = list[str | int]


def access_request(request: str, patient: str) -> Info:
    """A clinician's request, sealed to the patient's wrap key."""
    return ["access-request", request, patient]


def grant_package(grantee: str) -> Info:
    """A wallet's grant package, sealed to the grantee's ``seal`` key."""
    return ["grant-package", grantee]


def reader(access: str, patient: str) -> Info:
    """The reader's name, role and department, sealed to the patient's wrap key.

    ``access`` is the id of the access or emergency, or of the access-log row where the own hospital read.
    """
    return ["reader", access, patient]


def held_consent(grant: str, patient: str) -> Info:
    """The custodian's copy of the patient's own Consent, sealed back to the wallet."""
    return ["held-consent", grant, patient]


def contribution(access: str, record: str) -> Info:
    """A contributed record's data key, sealed to the custodian's ``seal`` key."""
    return ["contribution", access, record]
