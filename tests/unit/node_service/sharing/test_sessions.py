"""Tokens of wallets and hospitals: who gets one, and what replays, borrowed keys and other algorithms get."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import statements
from domain.errors import Denied
from domain.identifiers import encode_bytes, identifier
from node_service.client import exchange_wire, wire
from node_service.organization_keys import signing_kid
from node_service.sharing import dpop, exchange_tokens, wallet_sessions
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import A, B, C, Wallet

URL = "http://127.0.0.1:8001/wallet/records"


@pytest.fixture
def story(lasting_story: Story) -> Story:
    """One patient for all: a session changes nothing about them."""
    return lasting_story


def thumbprint(key: Ed25519PrivateKey) -> str:
    return dpop.key_thumbprint(key.public_key().public_bytes_raw())


def jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": encode_bytes(key.public_key().public_bytes_raw())}


def proof(
    story: Story, key: Ed25519PrivateKey, token: str, headers: dict[str, Any] | None = None, **claims: Any
) -> str:
    now = int(story.consortium.clock.now().timestamp())
    ath = encode_bytes(hashlib.sha256(token.encode()).digest())
    body = {"jti": identifier(os.urandom(16)), "htm": "GET", "htu": URL, "iat": now, "ath": ath, **claims}
    shown = {"typ": "dpop+jwt", "jwk": jwk(key), **(headers or {})}
    return jwt.encode(body, key, algorithm="EdDSA", headers=shown)


def session(story: Story, key: Ed25519PrivateKey, **changes: Any) -> wire.Token:
    """A session as the wallet opens it; ``changes`` go into its statement."""
    node, patient = story.consortium[A].node, story.wallet.patient
    nonce = changes.pop("nonce", None) or wallet_sessions.issue_nonce(node, wire.NonceRequest(patient=patient)).nonce
    audience = changes.pop("audience", A)
    valid_for = changes.pop("valid_for", timedelta(minutes=2))
    text, signature = story.wallet.sign(statements.Session(audience, nonce), valid_for=valid_for, **changes)
    body = wire.WalletSession(statement=text, signature=signature, key_thumbprint=thumbprint(key))
    return wallet_sessions.open_session(node, body)


def authenticate(story: Story, token: str, given: str, method: str = "GET", url: str = URL) -> str:
    return wallet_sessions.authenticate_wallet(story.consortium[A].node, token, given, method, url)


def test_a_signed_nonce_opens_a_session_that_its_key_uses(story: Story) -> None:
    key = Ed25519PrivateKey.generate()
    token = session(story, key).access_token
    assert authenticate(story, token, proof(story, key, token)) == story.wallet.patient
    assert authenticate(story, token, proof(story, key, token, htu=URL + "?after=x")) == story.wallet.patient


def test_a_nonce_opens_one_session_only(story: Story) -> None:
    key = Ed25519PrivateKey.generate()
    nonce = wallet_sessions.issue_nonce(story.consortium[A].node, wire.NonceRequest(patient=story.wallet.patient)).nonce
    session(story, key, nonce=nonce)
    with pytest.raises(Denied) as again:
        session(story, key, nonce=nonce)
    assert again.value.reason == "replayed"


@pytest.mark.parametrize(
    "changes",
    [
        {"audience": B},
        {"custodian": B},
        {"channel": "other"},
        {"patient": identifier(bytes(16))},
        {"key_epoch": 2},
        {"valid_for": timedelta(minutes=10)},
        {"valid_for": timedelta(seconds=-5)},
        {"nonce": encode_bytes(bytes(32))},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_session_statement_for_another_place_time_or_nonce_is_refused(story: Story, changes: dict[str, Any]) -> None:
    with pytest.raises(Denied):
        session(story, Ed25519PrivateKey.generate(), **changes)


def test_a_nonce_that_was_used_is_not_forgotten_while_the_clock_is_ahead(story: Story) -> None:
    key, node = Ed25519PrivateKey.generate(), story.consortium[A].node
    nonce = wallet_sessions.issue_nonce(node, wire.NonceRequest(patient=story.wallet.patient)).nonce
    session(story, key, nonce=nonce)
    story.consortium.clock.advance(50 * 60)
    session(story, key)  # what is over by that clock is forgotten on the way
    story.consortium.clock.advance(-50 * 60)
    with pytest.raises(Denied) as again:
        session(story, key, nonce=nonce)
    assert again.value.reason == "replayed"


def test_a_nonce_expires_after_five_minutes(story: Story) -> None:
    node = story.consortium[A].node
    nonce = wallet_sessions.issue_nonce(node, wire.NonceRequest(patient=story.wallet.patient)).nonce
    story.consortium.clock.advance(301)
    with pytest.raises(Denied):
        session(story, Ed25519PrivateKey.generate(), nonce=nonce)


def test_another_keys_signature_opens_no_session(story: Story) -> None:
    stranger = replace(story, wallet=Wallet(story.consortium[A], story.wallet.patient))
    with pytest.raises(Denied):
        session(stranger, Ed25519PrivateKey.generate())


def test_a_token_ends_after_five_minutes(story: Story) -> None:
    key = Ed25519PrivateKey.generate()
    token = session(story, key).access_token
    story.consortium.clock.advance(300)
    with pytest.raises(Denied) as over:
        authenticate(story, token, proof(story, key, token))
    assert over.value.reason == "no-session"


def test_a_token_that_was_given_while_the_clock_was_ahead_does_not_outlast_it(story: Story) -> None:
    key = Ed25519PrivateKey.generate()
    story.consortium.clock.advance(8 * 86_400)
    token = session(story, key).access_token
    assert authenticate(story, token, proof(story, key, token)) == story.wallet.patient
    story.consortium.clock.advance(-8 * 86_400)
    with pytest.raises(Denied) as refused:
        authenticate(story, token, proof(story, key, token))
    assert refused.value.reason == "no-session"


def test_a_proof_is_accepted_once(story: Story) -> None:
    key = Ed25519PrivateKey.generate()
    token = session(story, key).access_token
    given = proof(story, key, token)
    authenticate(story, token, given)
    with pytest.raises(Denied) as replay:
        authenticate(story, token, given)
    assert replay.value.reason == "replayed"


def test_a_stolen_token_is_worth_nothing_with_another_key(story: Story) -> None:
    thief = Ed25519PrivateKey.generate()
    token = session(story, Ed25519PrivateKey.generate()).access_token
    with pytest.raises(Denied) as refused:
        authenticate(story, token, proof(story, thief, token))
    assert refused.value.reason == "dpop"


@pytest.mark.parametrize(
    ("claims", "headers"),
    [
        ({"htm": "POST"}, {}),
        ({"htu": "http://127.0.0.1:8001/wallet/grants"}, {}),
        ({"htu": "http://evil.example/wallet/records"}, {}),
        ({"iat": 0}, {}),
        ({"iat": 1 << 39}, {}),
        ({"iat": "now"}, {}),
        ({"ath": encode_bytes(bytes(32))}, {}),
        ({"jti": ""}, {}),
        ({"jti": "\ud800"}, {}),
        ({}, {"typ": "JWT"}),
        ({}, {"jku": "http://evil.example/keys"}),
        ({}, {"x5u": "http://evil.example/cert"}),
        ({}, {"crit": ["b64"]}),
        ({}, {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}),
        ({}, {"jwk": None}),
    ],
)
def test_a_proof_of_another_form_or_request_is_refused(
    story: Story, claims: dict[str, Any], headers: dict[str, Any]
) -> None:
    key = Ed25519PrivateKey.generate()
    token = session(story, key).access_token
    with pytest.raises(Denied) as refused:
        authenticate(story, token, proof(story, key, token, headers, **claims))
    assert refused.value.reason == "dpop"


def test_a_proof_that_brings_its_private_key_or_no_signature_is_refused(story: Story) -> None:
    key = Ed25519PrivateKey.generate()
    token = session(story, key).access_token
    private = {**jwk(key), "d": encode_bytes(key.private_bytes_raw())}
    good = proof(story, key, token)
    unsigned = json.dumps({"alg": "none", "typ": "dpop+jwt", "jwk": jwk(key)}).encode()
    none = base64.urlsafe_b64encode(unsigned).decode().rstrip("=") + "." + good.split(".")[1] + "."
    nested = base64.urlsafe_b64encode(b"[" * 6000).decode() + ".e30.e30"
    for given in (proof(story, key, token, {"jwk": private}), none, good[:-4], "", "x" * 9000, nested):
        with pytest.raises(Denied):
            authenticate(story, token, given)


def assertion(story: Story, headers: dict[str, Any] | None = None, signer: str = B, **claims: Any) -> str:
    node = story.consortium[signer].node
    now = int(story.consortium.clock.now().timestamp())
    body = {"iss": B, "sub": B, "aud": f"urn:yilian:org:{A}", "exp": now + 120, "jti": encode_bytes(os.urandom(16))}
    key = Ed25519PrivateKey.from_private_bytes(node.secrets.signing_key)
    return jwt.encode(
        {**body, **claims}, key, algorithm="EdDSA", headers={"kid": signing_kid(node.secrets), **(headers or {})}
    )


def exchange_token(story: Story, given: str) -> wire.Token:
    body = exchange_wire.ExchangeToken(
        grant_type="client_credentials",
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion=given,
    )
    return exchange_tokens.issue_token(story.consortium[A].node, body)


def test_a_hospital_signs_in_with_its_key_in_the_registry(story: Story) -> None:
    token = exchange_token(story, assertion(story)).access_token
    assert exchange_tokens.authenticate_hospital(story.consortium[A].node, token) == B
    story.consortium.clock.advance(300)
    with pytest.raises(Denied):
        exchange_tokens.authenticate_hospital(story.consortium[A].node, token)


def test_an_assertion_is_accepted_once(story: Story) -> None:
    given = assertion(story)
    exchange_token(story, given)
    with pytest.raises(Denied) as replay:
        exchange_token(story, given)
    assert replay.value.reason == "replayed"


@pytest.mark.parametrize(
    ("claims", "headers", "signer"),
    [
        ({}, {}, C),
        ({"sub": C}, {}, B),
        ({"iss": C, "sub": C}, {}, B),
        ({"iss": "NobodyMSP", "sub": "NobodyMSP"}, {}, B),
        ({"aud": f"urn:yilian:org:{C}"}, {}, B),
        ({"aud": [f"urn:yilian:org:{A}", "x"]}, {}, B),
        ({"exp": 1}, {}, B),
        ({"exp": 1 << 39}, {}, B),
        ({"jti": None}, {}, B),
        ({}, {"kid": "another"}, B),
        ({}, {"jku": "http://evil.example/keys"}, B),
        ({}, {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": encode_bytes(bytes(32))}}, B),
        ({}, {"x5u": "http://evil.example/cert"}, B),
    ],
)
def test_an_assertion_by_another_or_for_another_is_refused(
    story: Story, claims: dict[str, Any], headers: dict[str, Any], signer: str
) -> None:
    with pytest.raises(Denied):
        exchange_token(story, assertion(story, headers, signer, **claims))


def test_a_symmetric_signature_with_the_public_key_as_secret_is_refused(story: Story) -> None:
    node = story.consortium[B].node
    public = Ed25519PrivateKey.from_private_bytes(node.secrets.signing_key).public_key().public_bytes_raw()
    now = int(story.consortium.clock.now().timestamp())
    body = {"iss": B, "sub": B, "aud": f"urn:yilian:org:{A}", "exp": now + 60, "jti": "x"}
    forged = jwt.encode(body, public, algorithm="HS256", headers={"kid": signing_kid(node.secrets)})
    with pytest.raises(Denied):
        exchange_token(story, forged)


def test_a_wallets_token_is_no_hospitals_token(story: Story) -> None:
    token = session(story, Ed25519PrivateKey.generate()).access_token
    with pytest.raises(Denied):
        exchange_tokens.authenticate_hospital(story.consortium[A].node, token)
