"""Orderers' signatures over a block (Fabric protoutil/blockutils.go, BlockSignatureVerifier)."""

from __future__ import annotations

from domain.errors import Denied, Invalid, Tampered
from network.blocks.block import Block, BlockSignature
from network.blocks.channel_config import ChannelConfig, Consenter
from network.blocks.member import Member, verify_member
from network.blocks.protos import common, parse_into
from network.verifier.report import OrdererSigner, Rule

BLOCK_VALIDATION = "/Channel/Orderer/BlockValidation"


def verify_orderer_signatures(block: Block, config: ChannelConfig) -> tuple[OrdererSigner, ...]:
    """Checks a block's signatures against the configuration before it.

    Every signature must verify and come from another signer; together they satisfy BlockValidation and, under BFT
    ordering, are a quorum of the consenters: a policy alone could be met by one signer under two names.

    Raises:
        Tampered: with the rule and the block.
    """
    header_der = block.header.der()
    verified: dict[bytes, tuple[Member, int]] = {}
    for signature in block.signatures:
        member, consenter_id = _signer(signature, config, block.number)
        message = signature.message(block.signed_value, header_der)
        try:
            member.verify_signature(signature.signature, message)
        except Tampered as error:
            raise _tampered("an orderer's signature does not verify", block.number) from error
        verified[member.identity.der] = (member, consenter_id)
    if len(verified) != len(block.signatures):
        raise _tampered("an orderer signed twice", block.number)
    _check_quorum(block, config, [member for member, _ in verified.values()])
    return tuple(
        OrdererSigner(member.identity.msp_id, member.identity.common_name, member.identity.der, consenter_id)
        for member, consenter_id in verified.values()
    )


def quorum(consenters: int) -> int:
    """How many of n consenters must sign: ⌈(n + f + 1) / 2⌉ with f = ⌊(n − 1) / 3⌋ (SmartBFT)."""
    faulty = (consenters - 1) // 3
    return (consenters + faulty + 2) // 2


def _check_quorum(block: Block, config: ChannelConfig, members: list[Member]) -> None:
    if config.consenters and len(members) < quorum(len(config.consenters)):
        raise _tampered("fewer signatures than a quorum of the consenters", block.number)
    policy = config.policy(BLOCK_VALIDATION)
    if policy is None or not policy.satisfied_by(members):
        raise _tampered("signatures do not satisfy BlockValidation", block.number)


def _signer(signature: BlockSignature, config: ChannelConfig, number: int) -> tuple[Member, int]:
    try:
        if config.consenters:
            consenter = _consenter(signature, config)
            return verify_member(consenter.identity, config.msps), consenter.id
        header = parse_into(common.SignatureHeader(), signature.signature_header, "SignatureHeader")
        return verify_member(header.creator, config.msps), 0
    except (Invalid, Denied) as error:
        raise _tampered("a signer is no orderer of the channel", number) from error


def _consenter(signature: BlockSignature, config: ChannelConfig) -> Consenter:
    header = parse_into(common.IdentifierHeader(), signature.identifier_header, "IdentifierHeader")
    consenter = config.consenters.get(header.identifier)
    if consenter is None:
        raise Denied("no such consenter", reason="unknown-consenter")
    return consenter


def _tampered(detail: str, number: int) -> Tampered:
    return Tampered(detail, reason=Rule.ORDERER_SIGNATURE, place=f"block {number}")
