"""Rules 1 and 2: who calls, and membership."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from nacl.bindings import crypto_scalarmult_ed25519_base_noclamp

from chaincode.stub import Creator
from domain import entries, transactions
from domain.checkpoints import key_hash, key_name
from domain.errors import Invalid
from domain.identifiers import decode_bytes, encode_bytes
from domain.instants import moment
from domain.queries import QueryOrganization
from domain.transactions import CreateRecord, RegisterOrganization, UpdateOrganization
from domain.vocabulary import KEY_BYTES
from tests.unit.chaincode.world import (
    CHANNEL,
    A,
    MemoryChannel,
    Refused,
    a_digest,
    an_id,
    organization_key,
    refused,
    registration,
)

COLLIDING = (11_495, 62_734)
"""Scalars whose public keys have one key hash under the name of A: found in a second, among some ten thousand keys."""


def status_for(creator: Creator) -> int:
    return MemoryChannel().simulate(*transactions.encode(registration()), creator=creator).response.status


@pytest.mark.parametrize(
    ("attributes", "units", "status"),
    [
        ({"yilian.role": "node"}, (), 200),
        ({"yilian.role": "node"}, ("admin",), 200),
        ({}, ("client",), 200),
        ({}, ("client", "department"), 200),
        ({"yilian.role": "auditor"}, ("client",), 403),
        ({"hf.Type": "client"}, ("client",), 403),
        ({}, ("peer",), 403),
        ({}, ("admin",), 403),
        ({}, (), 403),
    ],
)
def test_only_the_certificate_of_a_node_may_call(
    attributes: dict[str, str], units: tuple[str, ...], status: int
) -> None:
    assert status_for(Creator(A, attributes, units)) == status


def test_a_refused_certificate_is_named_as_the_reason() -> None:
    result = MemoryChannel().simulate(*transactions.encode(registration()), creator=Creator(A, {}, ("peer",)))
    assert str(refused(result)) == "403 role"


def test_an_msp_id_that_would_shift_a_key_is_refused() -> None:
    result = MemoryChannel().simulate(*transactions.encode(registration()), creator=Creator("A\0B", {}, ("client",)))
    assert str(refused(result)) == "400 invalid creator"


def test_an_organization_registers_itself_under_its_certificate() -> None:
    channel = MemoryChannel()
    assert channel.submit(registration("a"), A)
    written, key = channel.written(), organization_key().key
    assert set(written) == {f"org/{A}", f"org-key/{key}"}
    assert written[f"org/{A}"]["status"] == "active"
    assert written[f"org-key/{key}"] == {"msp": A, "v": 1}
    assert channel.event() == ("RegisterOrganization", {"keys": [f"org-key/{key}", f"org/{A}"]})


def test_registering_again_with_the_same_values_changes_nothing() -> None:
    channel = MemoryChannel()
    channel.submit(registration("a"), A)
    assert not channel.submit(registration("a"), A)


def test_registering_again_with_other_values_is_a_conflict() -> None:
    channel = MemoryChannel()
    channel.submit(registration("a"), A)
    with pytest.raises(Refused, match=r"409 registered$"):
        channel.submit(registration("b"), A)


def test_who_is_no_member_may_write_nothing_else() -> None:
    for transaction in (
        CreateRecord(an_id("r"), a_digest("leaf")),
        UpdateOrganization("https://a.example", (organization_key(),)),
    ):
        with pytest.raises(Refused, match=r"403 not-a-member$"):
            MemoryChannel().submit(transaction, A)


def test_who_leaves_or_left_may_write_nothing(channel: MemoryChannel) -> None:
    key = f"\0org\0{A}\0"
    for status in ("leaving", "left"):
        value = channel.state[key]
        changed = value.value.replace(b'"status":"active"', f'"status":"{status}"'.encode())
        assert changed != value.value
        channel.state[key] = type(value)(changed, value.version)
        with pytest.raises(Refused, match=r"403 not-a-member$"):
            channel.submit(CreateRecord(an_id("r"), a_digest("leaf")), A)
        channel.state[key] = value


def update(*keys: transactions.OrganizationKey, url: str = f"https://{A}.example") -> UpdateOrganization:
    return UpdateOrganization(url, keys)


def test_an_update_replaces_address_and_adds_keys(channel: MemoryChannel) -> None:
    assert channel.submit(update(organization_key(), organization_key("k2", use="tls"), url="https://new.example"), A)
    found = channel.query(QueryOrganization(A))
    assert found["url"] == "https://new.example"
    assert [key["kid"] for key in found["keys"]] == ["k1", "k2"]


def test_a_witness_address_is_registered_and_updated(channel: MemoryChannel) -> None:
    found = channel.query(QueryOrganization(A))
    assert found["witness_url"] is None
    witnessed = replace(update(organization_key()), witness_url="https://witness.a.example")
    assert channel.submit(witnessed, A)
    assert not channel.submit(witnessed, A)
    assert channel.query(QueryOrganization(A))["witness_url"] == "https://witness.a.example"
    new = replace(registration("new"), witness_url="https://witness.new.example")
    assert channel.submit(new, "NewMSP")
    assert channel.written()["org/NewMSP"]["witness_url"] == "https://witness.new.example"


@pytest.mark.parametrize("address", ["", "ftp://a.example", "https://é.example", 7])
def test_a_witness_address_is_http_or_null(address: object) -> None:
    with pytest.raises(Invalid):
        replace(registration(), witness_url=address)  # type: ignore[arg-type]


def test_a_value_from_before_witnesses_reads_as_without_one(channel: MemoryChannel) -> None:
    key = f"\0org\0{A}\0"
    value = channel.state[key]
    older = value.value.replace(b',"witness_url":null', b"")
    assert older != value.value
    channel.state[key] = type(value)(older, value.version)
    assert entries.parse(entries.OrganizationEntry, older).witness_url is None
    assert not channel.submit(update(organization_key()), A)


def test_an_update_without_change_changes_nothing(channel: MemoryChannel) -> None:
    assert not channel.submit(update(organization_key()), A)


def test_a_published_key_is_never_removed(channel: MemoryChannel) -> None:
    with pytest.raises(Refused, match=r"409 key-removed keys$"):
        channel.submit(update(organization_key("k2")), A)


def test_a_published_key_never_changes(channel: MemoryChannel) -> None:
    with pytest.raises(Refused, match=r"409 key-changed keys$"):
        channel.submit(update(organization_key("k1", use="witness")), A)


def test_the_end_of_a_key_is_set_or_comes_earlier_and_never_moves_later(channel: MemoryChannel) -> None:
    assert channel.submit(update(organization_key(until="2027-01-01T00:00:00Z")), A)
    assert channel.submit(update(organization_key(until="2026-06-01T00:00:00Z")), A)
    for later in ("2026-06-01T00:00:01Z", None):
        with pytest.raises(Refused, match=r"409 key-revived keys$"):
            channel.submit(update(organization_key(until=later)), A)


def test_an_update_keeps_fields_that_a_later_program_added(channel: MemoryChannel) -> None:
    key = f"\0org\0{A}\0"
    value = channel.state[key]
    channel.state[key] = type(value)(value.value[:-1] + b',"zz":"kept"}', value.version)
    channel.submit(update(organization_key(), url="https://new.example"), A)
    assert channel.written()[f"org/{A}"]["zz"] == "kept"


@pytest.mark.parametrize("year", [2000, 2999])
def test_a_timestamp_may_lie_at_either_end_of_the_range(year: int) -> None:
    at = moment("2026-03-01T12:00:00Z").replace(year=year)
    assert MemoryChannel().simulate(*transactions.encode(registration()), at=at).response.status == 200


@pytest.mark.parametrize("year", [1999, 3000, 9999])
def test_a_timestamp_out_of_range_is_refused(year: int) -> None:
    name, arguments = transactions.encode(registration())
    at = moment("2026-03-01T12:00:00Z").replace(year=year)
    assert str(refused(MemoryChannel().simulate(name, arguments, at=at))) == "400 timestamp"


def test_fractions_of_a_second_do_not_reach_the_rules(channel: MemoryChannel) -> None:
    at = moment("2026-03-01T12:00:00Z") + timedelta(microseconds=999_999)
    name, arguments = transactions.encode(RegisterOrganization("https://d.example", (organization_key(holder="d"),)))
    assert channel.simulate(name, arguments, "DMSP", at).response.status == 200


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Nothing", b"{}"),
        ("CreateRecord", b"{}"),
        ("CreateRecord", b"[]"),
        ("CreateRecord", b""),
        ("CreateRecord", b'{"leaf":1, "record":2}'),
        ("QueryPatient", b"{}"),
        ("QueryPatient", b'{"patient":"x","patient":"y"}'),
        ("", b"{}"),
    ],
)
def test_malformed_invocations_are_invalid_and_never_raise(channel: MemoryChannel, name: str, arguments: bytes) -> None:
    assert channel.simulate(name, arguments).response.status == 400


def test_a_caller_cannot_be_given_as_an_argument(channel: MemoryChannel) -> None:
    name, arguments = transactions.encode(CreateRecord(an_id("r"), a_digest("leaf")))
    forged = arguments[:-1].replace(b'{"leaf"', b'{"caller":"HospitalBMSP","leaf"') + b"}"
    assert channel.simulate(name, forged).response.status == 400


@pytest.mark.parametrize("use", KEY_BYTES)
@pytest.mark.parametrize("difference", [-1, 1])
def test_a_published_key_has_the_length_of_its_algorithm(use: str, difference: int) -> None:
    key = organization_key(use=use)
    assert len(decode_bytes(key.key, "key")) == KEY_BYTES[use]
    for length in (0, KEY_BYTES[use] + difference):
        with pytest.raises(Invalid):
            replace(key, key=encode_bytes(bytes(length)))


@pytest.mark.parametrize("use", ["signing", "witness"])
def test_a_signature_key_belongs_to_who_published_it_first(channel: MemoryChannel, use: str) -> None:
    """All witnesses sign the same bytes: with another's key, a member would have that one's signatures."""
    own = organization_key(use=use)
    if use == "witness":
        own = replace(organization_key("w1", use=use))
        channel.submit(update(organization_key(), own), A)
    stolen = replace(own, kid="mine", use="witness")
    with pytest.raises(Refused, match=r"409 key-of-another keys$"):
        channel.submit(RegisterOrganization("https://d.example", (stolen,)), "HospitalDMSP")
    assert channel.submit(RegisterOrganization("https://d.example", (organization_key(holder="d"),)), "HospitalDMSP")


def test_a_signature_key_that_fits_every_message_is_refused(channel: MemoryChannel) -> None:
    for weak in (bytes(32), b"\x01" + bytes(31), b"\xff" * 32):
        key = replace(organization_key("weak", use="witness"), key=encode_bytes(weak))
        with pytest.raises(Refused, match=r"400 weak-key keys$"):
            channel.submit(update(organization_key(), key), A)


def test_signature_lines_tell_a_members_witness_keys_apart(channel: MemoryChannel) -> None:
    """A line names its key by four bytes. With two keys under one name, receipts that held would hold no more."""
    first, second = (encode_bytes(crypto_scalarmult_ed25519_base_noclamp(n.to_bytes(32, "little"))) for n in COLLIDING)
    hashes = {key_hash(key_name(CHANNEL, A), decode_bytes(key, "key")) for key in (first, second)}
    assert len(hashes) == 1
    one, other = (
        replace(organization_key(kid, use="witness"), key=key) for kid, key in (("w1", first), ("w2", second))
    )
    ended = replace(one, valid_until="2027-01-01T00:00:00Z")
    channel.submit(update(organization_key(), one), A)
    for keys in ((one, other), (ended, other), (one, replace(one, kid="w2"))):
        with pytest.raises(Refused, match=r"409 key-hash keys$"):
            channel.submit(update(organization_key(), *keys), A)


def test_the_own_key_may_have_two_uses(channel: MemoryChannel) -> None:
    again = replace(organization_key(), kid="w1", use="witness")
    assert channel.submit(update(organization_key(), again), A)
