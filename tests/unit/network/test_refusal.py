from __future__ import annotations

import pytest

from domain.errors import Conflict, Denied, Invalid, NotFound, Unavailable, YilianError
from network.refusal import contract_error


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "{}", Invalid),
        (403, "no JSON", Denied),
        (404, '["a"]', NotFound),
        (409, '{"detail":null}', Conflict),
        (500, "panic", Unavailable),
        (402, "{}", Unavailable),
        (400, "[" * 100_000, Invalid),
        (400, "x" * 100_000, Invalid),
    ],
)
def test_any_refusal_becomes_an_error_of_ours(status: int, message: str, kind: type[YilianError]) -> None:
    error = contract_error(status, message)
    assert type(error) is kind
    assert len(str(error)) < 200


def test_a_refusal_keeps_the_contracts_words() -> None:
    error = contract_error(409, '{"detail":"used before","place":"id","reason":"used"}')
    assert (error.detail, error.reason, error.place) == ("used before", "used", "id")
