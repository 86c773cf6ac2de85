"""Every operation of ``/openapi.json`` under generated requests: answers are of the kinds that the document names."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from node_service.api.tus import PART_TYPE
from node_service.staff.roles import ROLES
from tests.conformance.http.conftest import Principals
from tests.faults.counts import repetitions

EXAMPLES = repetitions(2, 200)
ALLOWED_FAILURES = (503, 504)
for media_type in ("application/dicom", "application/pdf", "application/fhir+ndjson", PART_TYPE):
    schemathesis.openapi.media_type(media_type, st.binary(max_size=200))


@pytest.fixture(scope="session")
def operations(principals: Principals) -> dict[str, Any]:
    document = httpx.get(f"{principals.hospital.url}/openapi.json", trust_env=False, timeout=60).json()
    schema: Any = schemathesis.openapi.from_dict(document)
    found = [result.ok() for result in schema.get_all_operations()]
    return {one.label: one for one in found}


def call(principals: Principals, case: Any, role: str) -> None:
    """Make the request and judge its answer."""
    with httpx.Client(base_url=principals.hospital.url, trust_env=False, timeout=60) as http:
        kwargs = case.as_transport_kwargs(base_url=principals.hospital.url)
        kwargs.pop("cookies", None)
        request = requests_request(kwargs)
        path = httpx.URL(request.url).path
        request.headers.update(principals.headers(case.operation.method.upper(), path, role))
        response = http.request(request.method, request.url, headers=request.headers, content=request.body)
    assert response.status_code < 500 or response.status_code in ALLOWED_FAILURES, (
        f"{case.operation.label}: {response.status_code} for {request.url} {request.body!r}"
    )
    checks = [status_code_conformance, content_type_conformance, response_schema_conformance]
    case.validate_response(response, checks=checks)


def requests_request(kwargs: dict[str, Any]) -> Any:
    """As the generator's own client would send it, before it is sent."""
    names = ("method", "url", "headers", "params", "data", "json", "files")
    known = {name: kwargs[name] for name in names if name in kwargs}
    return requests.Request(**known).prepare()


def told(error: BaseException) -> str:
    """What is wrong, without the groups around it."""
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else [error]
    return "; ".join(f"{type(one).__name__} {one}" for one in parts)


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=str)
def test_every_operation_answers_as_its_document_says(
    operations: dict[str, Any], principals: Principals, mode: schemathesis.GenerationMode
) -> None:
    roles, failures, without = cycle(["all", *sorted(ROLES)]), [], []
    for label, operation in operations.items():

        @seed(1)
        @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode))
        def answers(case: Any) -> None:
            call(principals, case, next(roles))

        try:
            answers()
        except Unsatisfiable:
            without.append(label)
        except (Exception, FailureGroup) as error:  # noqa: BLE001 - all operations are told at once
            failures.append(f"{label}: {told(error)}"[:600])
    assert not failures, "\n\n".join(failures)
    assert len(operations) - len(without) > 60
