from __future__ import annotations

import httpx
import pytest

from domain import errors
from node_service.api.problems import answer, problem
from node_service.client.answers import Unsent, error_of, lost, read_value
from node_service.client.wire import Nonce


@pytest.mark.parametrize("path", ["/api/x", "/fhir/Observation"])
@pytest.mark.parametrize(
    "error",
    [
        errors.Invalid("a rule", reason="form", place="body.name"),
        errors.Denied("not you", reason="role"),
        errors.NotFound("not there", reason="no-record"),
        errors.Conflict("changed", reason="precondition", place="x"),
        errors.Unavailable("later", reason="database"),
        errors.OutcomeUnknown("ask", tx_id="f" * 64),
    ],
)
def test_an_error_crosses_http_unchanged(error: errors.YilianError, path: str) -> None:
    response = answer(problem(error, path), path)
    found = error_of(response.status_code, bytes(response.body))
    assert type(found) is type(error)
    assert (found.detail, found.reason, found.place) == (error.detail, error.reason, error.place)
    assert getattr(found, "tx_id", None) == getattr(error, "tx_id", None)


def test_altered_records_are_told_apart_from_a_failing_node() -> None:
    def told(error: Exception, path: str) -> errors.YilianError:
        response = answer(problem(error, path), path)
        return error_of(response.status_code, bytes(response.body))

    assert isinstance(told(errors.Tampered("altered", reason="chunk-altered"), "/api/records/x"), errors.Tampered)
    assert isinstance(told(errors.Tampered("altered", reason="leaf"), "/api/shared/x"), errors.Tampered)
    assert isinstance(told(RuntimeError(), "/api/x"), errors.Unavailable)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}", b'{"detail": 7, "issue": {}}', b"\xff"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, errors.NotFound),
        (302, errors.Invalid),
        (418, errors.Invalid),
        (599, errors.Unavailable),
        (502, errors.Unavailable),
    ],
)
def test_an_answer_of_another_form_is_still_an_error_of_its_status(
    status: int, kind: type[errors.YilianError], content: bytes
) -> None:
    assert isinstance(error_of(status, content), kind)


def test_a_value_of_another_form_is_tampered_and_shows_nothing_of_it() -> None:
    with pytest.raises(errors.Tampered) as refusal:
        read_value(Nonce, b'{"nonce": ["secret"]}')
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    ("method", "failure", "kind"),
    [
        ("POST", httpx.ReadTimeout("x"), errors.OutcomeUnknown),
        ("POST", httpx.RemoteProtocolError("x"), errors.OutcomeUnknown),
        ("POST", httpx.ConnectError("x"), Unsent),
        ("POST", httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] x"), Unsent),
        ("POST", httpx.PoolTimeout("x"), Unsent),
        ("GET", httpx.ReadTimeout("x"), errors.Unavailable),
        ("PUT", httpx.ReadError("x"), errors.Unavailable),
    ],
)
def test_only_a_post_whose_answer_was_lost_has_an_unknown_outcome(
    method: str, failure: httpx.HTTPError, kind: type[errors.YilianError]
) -> None:
    assert type(lost(method, failure)) is kind


@pytest.mark.parametrize("status", [502, 503])
def test_a_proxys_own_answer_to_what_has_effects_leaves_the_outcome_open(status: int) -> None:
    assert isinstance(error_of(status, b"<html>bad gateway", may_have_done=True), errors.OutcomeUnknown)
    assert type(error_of(status, b"<html>bad gateway")) is errors.Unavailable
    told = error_of(503, b'{"reason": "database"}', may_have_done=True)
    assert (type(told), told.reason) == (errors.Unavailable, "database")


@pytest.mark.parametrize("reason", ["no-answer", "https-certificate"])
def test_no_answer_can_say_that_the_call_never_left(reason: str) -> None:
    content = b'{"reason": "%s"}' % reason.encode()
    assert not any(isinstance(error_of(status, content), Unsent) for status in range(300, 600))


def test_an_error_that_is_nested_without_end_is_still_an_error() -> None:
    assert isinstance(error_of(503, b"[" * 60_000), errors.Unavailable)
