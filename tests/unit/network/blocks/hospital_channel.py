"""A channel of generated hospitals: real keys, certificates and blocks, made with the builders under test."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain.errors import Invalid
from network.blocks.block import build_block, parse_block
from network.blocks.codes import ValidationCode
from network.blocks.commit_hash import commit_hash
from network.blocks.genesis import Organization, build_genesis_block
from network.blocks.identity import attributes_extension, serialize_identity
from network.blocks.lifecycle import NAMESPACE, ChaincodeDefinition, commit_definition, peers_policy
from network.blocks.mvcc import BlockUpdates
from network.blocks.proposal import (
    NONCE_BYTES,
    ChaincodeEvent,
    Proposal,
    Response,
    Simulation,
    build_response_payload,
    build_transaction,
    endorse,
    propose,
    sign_envelope,
)
from network.blocks.rwset import NamespaceRwset, Read, Version, Write
from network.blocks.signature import EcdsaSigner
from network.blocks.transaction import parse_envelope, parse_transaction
from network.verifier.world_state import WorldState

CHANNEL = "hospitals"
CHAINCODE = "drawer"
NOW_NS = 1_795_000_000_000_000_000
NOT_BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Authority:
    """A certificate authority."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        name: str,
        unit: str | Sequence[str],
        *,
        is_authority: bool = False,
        attributes: dict[str, str] | None = None,
        not_before: datetime = NOT_BEFORE,
        extensions: Sequence[x509.ExtensionType] = (),
    ) -> Authority:
        """A certificate with its key; an end entity unless ``is_authority``."""
        key = ec.generate_private_key(ec.SECP256R1())
        units = [unit] if isinstance(unit, str) else unit
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name, units))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_before + timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if attributes is not None:
            builder = builder.add_extension(attributes_extension(attributes), critical=False)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return Authority(builder.sign(self.key, hashes.SHA256()), key)


def new_root(name: str) -> Authority:
    """A self-signed root authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name, [])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE - timedelta(days=30))
        .not_valid_after(NOT_BEFORE + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def signer_of(msp_id: str, holder: Authority) -> EcdsaSigner:
    """The holder of a certificate as a member of an MSP."""
    return EcdsaSigner(serialize_identity(msp_id, holder.certificate), holder.key)


@dataclass(frozen=True)
class Hospital:
    """An organisation with one member in each role."""

    msp_id: str
    root: Authority
    client: EcdsaSigner
    peer: EcdsaSigner
    admin: EcdsaSigner
    orderer: EcdsaSigner

    @classmethod
    def new(cls, msp_id: str) -> Hospital:
        root = new_root(f"ca.{msp_id}")
        roles = {
            role: signer_of(msp_id, root.issue(f"{role}.{msp_id}", role))
            for role in ("client", "peer", "admin", "orderer")
        }
        return cls(msp_id, root, **roles)

    @property
    def organization(self) -> Organization:
        return Organization(self.msp_id, (self.root.pem,))


@dataclass
class HospitalChannel:
    """Builds one block after the other as an honest ordering service and peer would."""

    hospitals: list[Hospital]
    blocks: list[bytes] = field(default_factory=list)
    state: WorldState = field(default_factory=WorldState)
    commit_hash: bytes = b""

    @classmethod
    def new(cls, hospitals: int = 3, *, required: int = 2) -> HospitalChannel:
        """A channel of hospitals with block 0 and the chaincode's definition in block 1."""
        channel = cls([Hospital.new(f"Hosp{number}MSP") for number in range(1, hospitals + 1)])
        channel.blocks.append(
            build_genesis_block(
                channel=CHANNEL,
                organizations=[hospital.organization for hospital in channel.hospitals],
                endorsements_required=required,
                consensus_type="embedded",
                timestamp_ns=NOW_NS,
                nonce=os.urandom(NONCE_BYTES),
            )
        )
        channel.add([channel.definition(required)])
        return channel

    @property
    def genesis_hash(self) -> bytes:
        return parse_block(self.blocks[0]).header.hash()

    def definition(self, required: int, sequence: int = 1) -> bytes:
        """The transaction that commits the chaincode's definition."""
        policy = peers_policy(required, [hospital.msp_id for hospital in self.hospitals])
        definition = ChaincodeDefinition(CHAINCODE, sequence, str(sequence), policy)
        previous = self.state.version(NAMESPACE, f"namespaces/fields/{CHAINCODE}/Sequence")
        args, rwset = commit_definition(definition, previous)
        proposal = self.propose(args, chaincode=NAMESPACE)
        return self.envelope(proposal, Simulation((rwset,), Response(200)))

    def propose(
        self,
        args: Sequence[bytes],
        *,
        chaincode: str = CHAINCODE,
        creator: EcdsaSigner | None = None,
        nonce: bytes | None = None,
        channel: str = CHANNEL,
    ) -> Proposal:
        return propose(
            channel=channel,
            chaincode=chaincode,
            args=args,
            creator=(creator or self.hospitals[0].client).identity,
            nonce=os.urandom(NONCE_BYTES) if nonce is None else nonce,
            timestamp_ns=NOW_NS,
        )

    def envelope(
        self,
        proposal: Proposal,
        simulation: Simulation,
        *,
        creator: EcdsaSigner | None = None,
        endorsers: Sequence[EcdsaSigner] | None = None,
    ) -> bytes:
        """Endorses by the first two hospitals' peers unless told otherwise."""
        payload = build_response_payload(proposal, simulation, version="1")
        peers = [hospital.peer for hospital in self.hospitals[:2]] if endorsers is None else endorsers
        transaction = build_transaction(proposal, payload, [endorse(payload, peer) for peer in peers])
        return sign_envelope(transaction, creator or self.hospitals[0].client)

    def write(
        self,
        values: dict[str, bytes | None],
        *,
        reads: Sequence[str] = (),
        endorsers: Sequence[EcdsaSigner] | None = None,
        event: ChaincodeEvent | None = None,
        proposal: Proposal | None = None,
    ) -> bytes:
        """A transaction that writes these keys, having read ``reads`` as they are now."""
        rwset = NamespaceRwset(
            CHAINCODE,
            reads=tuple(Read(key, self.state.version(CHAINCODE, key)) for key in reads),
            writes=tuple(Write(key, value) for key, value in sorted(values.items())),
        )
        args = [b"put", repr(sorted(values.items())).encode()]
        simulation = Simulation((rwset,), Response(200), event)
        return self.envelope(proposal or self.propose(args), simulation, endorsers=endorsers)

    def block(
        self,
        envelopes: Sequence[bytes],
        codes: Sequence[ValidationCode] | None = None,
        *,
        orderer: EcdsaSigner | None = None,
        last_config: int = 0,
    ) -> bytes:
        """The next block, with the codes that the caller expects (all valid by default); changes nothing here."""
        number = len(self.blocks)
        chosen = [ValidationCode.VALID] * len(envelopes) if codes is None else codes
        return build_block(
            number=number,
            previous_hash=parse_block(self.blocks[-1]).header.hash(),
            envelopes=envelopes,
            last_config=last_config,
            orderer=orderer or self.hospitals[0].orderer,
            orderer_nonce=os.urandom(NONCE_BYTES),
            validation_codes=bytes(chosen),
            commit_hash=commit_hash(self.commit_hash, bytes(chosen), self._updates(envelopes, chosen)),
        )

    def add(
        self, envelopes: Sequence[bytes], codes: Sequence[ValidationCode] | None = None, *, last_config: int = 0
    ) -> bytes:
        """Builds the next block and takes its valid writes over."""
        raw = self.block(envelopes, codes, last_config=last_config)
        block = parse_block(raw)
        for position, envelope in enumerate(envelopes):
            read = parse_envelope(envelope)
            self.state.add_transaction(read.tx_id)
            if block.validation_codes[position] == ValidationCode.VALID and read.type == 3:
                self.state.apply(parse_transaction(read).rwsets, Version(block.number, position))
        self.blocks.append(raw)
        self.commit_hash = block.commit_hash
        return raw

    def _updates(self, envelopes: Sequence[bytes], codes: Sequence[ValidationCode]) -> BlockUpdates:
        updates = BlockUpdates(self.state, len(self.blocks))
        for position, (envelope, code) in enumerate(zip(envelopes, codes, strict=True)):
            read = parse_envelope(envelope)
            if code == ValidationCode.VALID and read.type == 3:
                with suppress(Invalid):  # a lying peer marks an unreadable transaction valid
                    updates.apply(parse_transaction(read).rwsets, position)
        return updates


def _name(common_name: str, units: Sequence[str]) -> x509.Name:
    return x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
