"""Founding an embedded ledger: keys and certificates of every organisation, genesis block, contract definition."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from domain.checks import check_integer, check_sequence
from domain.errors import Invalid
from domain.identifiers import check_msp_id
from domain.ports import Clock, RandomSource
from network.blocks.block import parse_block
from network.blocks.codes import ValidationCode, code_name
from network.blocks.genesis import Organization, build_genesis_block
from network.blocks.lifecycle import NAMESPACE, ChaincodeDefinition, commit_definition, reference_policy
from network.blocks.proposal import (
    NONCE_BYTES,
    Response,
    Simulation,
    build_response_payload,
    build_transaction,
    endorse,
    propose,
    sign_envelope,
)
from network.blocks.signature import Signer
from network.embedded.block_writer import BlockWriter, write_block
from network.embedded.database import create_database
from network.embedded.layout import FILE_MODE, Layout, create_directory, sync_directory, write_file
from network.embedded.material import KeyPair, create_authority, issue
from network.embedded.state import read_genesis
from network.execution import nanoseconds
from network.verifier.channel_file import ChannelFile, check_names
from network.verifier.position import Tip

CONSENSUS_TYPE = "embedded"
CONTRACT = "yilian"
CONTRACT_VERSION = "1"
ORDERING_ORGANISATION = "OrdererMSP"
MAX_ORGANISATIONS = 64
_LIFECYCLE_VERSION = "syscc"
WARNING = "one operator holds the keys of every organisation: this ledger proves nothing against that operator"


@dataclass(frozen=True, slots=True)
class Founding:
    """What was founded; ``genesis`` is the hex header hash of block 0, to be handed to auditors."""

    directory: Path
    channel: str
    contract: str
    organisations: tuple[str, ...]
    endorsements_required: int
    genesis: str
    warning: str = WARNING


@dataclass(frozen=True, slots=True)
class _Member:
    msp_id: str
    authority: KeyPair
    peer: KeyPair
    admin: KeyPair


def init(
    directory: Path,
    channel: str,
    organisations: Sequence[str],
    *,
    clock: Clock,
    random: RandomSource,
    contract: str = CONTRACT,
    endorsements_required: int | None = None,
) -> Founding:
    """Founds a ledger in an empty or new directory; ``ledger.db`` comes last, so without it the founding failed.

    Args:
        organisations: MSP ids; each gets all its keys (see :mod:`network.embedded.layout`).
        endorsements_required: of how many organisations' peers a transaction needs signatures; default: the majority.

    Raises:
        Invalid: the directory is not empty, or a name or number breaks a rule.
        Unavailable: the disk refuses.
    """
    members = _check_organisations(organisations)
    required = len(members) // 2 + 1 if endorsements_required is None else endorsements_required
    check_integer(required, "endorsements_required", low=1, high=len(members))
    check_names(channel, contract)
    layout, now = Layout(directory), clock.now()
    create_directory(directory)
    made = [_make_member(layout, msp_id, now) for msp_id in members]
    ordering_authority, orderer = _make_ordering(layout, now)
    genesis = build_genesis_block(
        channel=channel,
        organizations=[Organization(item.msp_id, (item.authority.certificate_pem(),)) for item in made],
        orderer_organizations=[Organization(ORDERING_ORGANISATION, (ordering_authority.certificate_pem(),))],
        endorsements_required=required,
        consensus_type=CONSENSUS_TYPE,
        timestamp_ns=nanoseconds(now),
        nonce=random(NONCE_BYTES),
    )
    founding = Founding(directory, channel, contract, members, required, parse_block(genesis).header.hash().hex())
    write_file(layout.channel, ChannelFile(channel, contract, founding.genesis).encode())
    envelope = _definition_envelope(founding, made, now, random)
    create_database(
        layout.database,
        lambda connection: _write_first_blocks(connection, genesis, envelope, orderer, random(NONCE_BYTES)),
    )
    layout.database.chmod(FILE_MODE)
    sync_directory(directory)
    return founding


def _check_organisations(organisations: Sequence[str]) -> tuple[str, ...]:
    items = check_sequence(list(organisations), "organisations", max_items=MAX_ORGANISATIONS, min_items=1)
    members = tuple(check_msp_id(item, "organisations") for item in items)
    if len({item.lower() for item in members} | {ORDERING_ORGANISATION.lower()}) != len(members) + 1:
        raise Invalid("the MSP ids must differ, also without case", reason="bad-msp", place="organisations")
    return members


def _make_member(layout: Layout, msp_id: str, now: datetime) -> _Member:
    authority = create_authority(msp_id, now)
    peer = issue(authority, f"peer.{msp_id}", "peer", now)
    admin = issue(authority, f"admin.{msp_id}", "admin", now)
    roles = {
        "ca": authority,
        "peer": peer,
        "admin": admin,
        "node": issue(authority, f"node.{msp_id}", "client", now, {"yilian.role": "node"}),
        "auditor": issue(authority, f"auditor.{msp_id}", "client", now, {"yilian.role": "auditor"}),
    }
    for role, pair in roles.items():
        pair.save(layout.identity(msp_id, role))
    return _Member(msp_id, authority, peer, admin)


def _make_ordering(layout: Layout, now: datetime) -> tuple[KeyPair, Signer]:
    authority = create_authority(ORDERING_ORGANISATION, now)
    orderer = issue(authority, "orderer", "orderer", now)
    roles = {"ca": authority, "orderer": orderer, "admin": issue(authority, "admin.orderer", "admin", now)}
    for role, pair in roles.items():
        pair.save(layout.ordering(ORDERING_ORGANISATION, role))
    return authority, orderer.signer(ORDERING_ORGANISATION)


def _definition_envelope(founding: Founding, members: list[_Member], now: datetime, random: RandomSource) -> bytes:
    """The transaction of block 1: the contract's definition, as ``peer lifecycle chaincode commit`` makes it."""
    definition = ChaincodeDefinition(founding.contract, 1, CONTRACT_VERSION, reference_policy())
    args, rwset = commit_definition(definition, None)
    creator = members[0].admin.signer(members[0].msp_id)
    proposal = propose(
        channel=founding.channel,
        chaincode=NAMESPACE,
        args=args,
        creator=creator.identity,
        nonce=random(NONCE_BYTES),
        timestamp_ns=nanoseconds(now),
    )
    simulation = Simulation((rwset,), Response(200))
    payload = build_response_payload(proposal, simulation, version=_LIFECYCLE_VERSION)
    endorsements = [endorse(payload, item.peer.signer(item.msp_id)) for item in members]
    return sign_envelope(build_transaction(proposal, payload, endorsements), creator)


def _write_first_blocks(
    connection: sqlite3.Connection, raw: bytes, definition: bytes, orderer: Signer, nonce: bytes
) -> None:
    genesis = read_genesis(raw)
    write_block(connection, Tip(0, parse_block(raw).header.hash(), b""), raw)
    writer = BlockWriter(genesis.channel, genesis.config, orderer)
    writer.append(connection, [definition], nonce)
    (code,) = connection.execute("SELECT code FROM tx WHERE block = 1").fetchone()
    if code != ValidationCode.VALID:
        raise Invalid(f"the contract's definition is {code_name(code)}", reason="bad-definition", place="block 1")
