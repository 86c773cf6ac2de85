"""How an untrusted certificate is told from a server that is not there."""

from __future__ import annotations

import pytest

from domain.certificates import is_untrusted


@pytest.mark.parametrize(
    ("told", "untrusted"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)", True),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch (_ssl.c:1006)", True),
        ("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca (_ssl.c:1006)", False),
        ("[Errno 111] Connection refused", False),
    ],
)
def test_openssls_refusal_of_a_certificate_is_told_from_other_failures(told: str, *, untrusted: bool) -> None:
    assert is_untrusted(told) == untrusted
