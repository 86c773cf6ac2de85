"""Policies: who must have signed (common/policies.proto; Fabric common/cauthdsl, common/policies).

Signers are valid, *distinct* identities: a certificate that signed twice counts once, and a signature or identity that
does not verify counts not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from domain.errors import Denied, Invalid, Tampered
from network.blocks.identity import Identity, parse_identity
from network.blocks.msp import Membership, Msp, Role
from network.blocks.protos import msp_principal, parse_into, policies
from network.blocks.signature import verify_signature

MAX_POLICY_DEPTH = 32


@dataclass(frozen=True, slots=True)
class SignedData:
    """A message, who is said to have signed it (serialized identity), and the signature."""

    message: bytes
    identity: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Member:
    """An identity that its MSP verified."""

    identity: Identity
    membership: Membership


class Policy(Protocol):
    """A rule over a set of distinct members."""

    def satisfied_by(self, members: Sequence[Member]) -> bool:
        """Whether these members together fulfil the rule."""
        ...


Matcher = Callable[[Member], bool]
_Rule = Callable[[Sequence[Member], list[bool]], bool]


def verify_member(raw_identity: bytes, msps: Mapping[str, Msp]) -> Member:
    """Finds the MSP of an identity and verifies it there.

    Whatever a library raises over bytes that anybody can put into a transaction means that they are no member: an
    exception of a kind that nobody has met must not end a witness.

    Raises:
        Denied: unknown MSP, unreadable or not a valid member.
    """
    try:
        return _member(raw_identity, msps)
    except (Denied, MemoryError):
        raise
    except Exception as error:
        raise Denied("identity cannot be read", reason="bad-identity") from error


def _member(raw_identity: bytes, msps: Mapping[str, Msp]) -> Member:
    identity = parse_identity(raw_identity)
    msp = msps.get(identity.msp_id)
    if msp is None:
        raise Denied("MSP is not in the channel", reason="unknown-msp")
    return Member(identity, msp.verify_identity(identity))


def signers(signed: Iterable[SignedData], msps: Mapping[str, Msp]) -> list[Member]:
    """The distinct valid members among these signatures; the others are passed over, as Fabric does."""
    members: dict[tuple[str, bytes], Member] = {}
    for item in signed:
        try:
            member = verify_member(item.identity, msps)
            key = (member.identity.msp_id, member.membership.distinguished_by)
            if key not in members:
                verify_signature(member.identity.public_key, item.signature, item.message)
                members[key] = member
        except (Denied, Tampered):
            continue
    return list(members.values())


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """``SignaturePolicyEnvelope``: a tree of N-out-of over principals; one member fulfils one leaf only."""

    rule: _Rule

    def satisfied_by(self, members: Sequence[Member]) -> bool:
        return self.rule(members, [False] * len(members))


@dataclass(frozen=True, slots=True)
class ImplicitMetaPolicy:
    """ANY, ALL or MAJORITY of the policies of one name in the groups below; a missing one is never fulfilled."""

    policies: tuple[Policy | None, ...]
    threshold: int

    def satisfied_by(self, members: Sequence[Member]) -> bool:
        fulfilled = 0
        for policy in self.policies:
            if fulfilled >= self.threshold:
                break
            if policy is not None and policy.satisfied_by(members):
                fulfilled += 1
        return fulfilled >= self.threshold


def implicit_meta_threshold(rule: int, count: int) -> int:
    """How many of ``count`` sub-policies a rule asks for; none if there are none."""
    if count == 0:
        return 0
    names = policies.ImplicitMetaPolicy.Rule
    thresholds = {names.Value("ANY"): 1, names.Value("ALL"): count, names.Value("MAJORITY"): count // 2 + 1}
    if rule not in thresholds:
        raise Invalid("implicit meta policy has an unknown rule", reason="bad-policy")
    return thresholds[rule]


def parse_signature_policy(raw: bytes) -> SignaturePolicy:
    """Reads ``SignaturePolicyEnvelope``.

    Raises:
        Invalid: malformed, too deep, or naming principals that are not there.
    """
    return compile_signature_policy(parse_into(policies.SignaturePolicyEnvelope(), raw, "SignaturePolicyEnvelope"))


def compile_signature_policy(envelope: Any) -> SignaturePolicy:
    """As ``parse_signature_policy``, from the parsed message."""
    if envelope.version != 0:
        raise Invalid("signature policy has an unknown version", reason="bad-policy")
    matchers = [_compile_principal(principal) for principal in envelope.identities]
    return SignaturePolicy(_compile_rule(envelope.rule, matchers, 0))


def _compile_rule(rule: Any, matchers: list[Matcher], depth: int) -> _Rule:
    if depth > MAX_POLICY_DEPTH:
        raise Invalid("signature policy is too deep", reason="bad-policy")
    kind = rule.WhichOneof("Type")
    if kind == "signed_by":
        if not 0 <= rule.signed_by < len(matchers):
            raise Invalid("signature policy names no such principal", reason="bad-policy")
        return _signed_by(matchers[rule.signed_by])
    if kind == "n_out_of":
        return _n_out_of(rule.n_out_of.n, [_compile_rule(item, matchers, depth + 1) for item in rule.n_out_of.rules])
    raise Invalid("signature policy has an empty rule", reason="bad-policy")


def _signed_by(matches: Matcher) -> _Rule:
    def rule(members: Sequence[Member], used: list[bool]) -> bool:
        for index, member in enumerate(members):
            if not used[index] and matches(member):
                used[index] = True
                return True
        return False

    return rule


def _n_out_of(n: int, rules: list[_Rule]) -> _Rule:
    def rule(members: Sequence[Member], used: list[bool]) -> bool:
        fulfilled = 0
        for sub_rule in rules:
            tried = used.copy()
            if sub_rule(members, tried):
                fulfilled += 1
                used[:] = tried
        return fulfilled >= n

    return rule


def _compile_principal(principal: Any, depth: int = 0) -> Matcher:
    kinds = msp_principal.MSPPrincipal.Classification
    kind = principal.principal_classification
    if kind == kinds.Value("ROLE"):
        return _role(parse_into(msp_principal.MSPRole(), principal.principal, "MSPRole"))
    if kind == kinds.Value("IDENTITY"):
        expected = parse_identity(principal.principal)
        return lambda member: (
            member.identity.msp_id == expected.msp_id and member.membership.is_also(expected.certificate)
        )
    if kind == kinds.Value("ORGANIZATION_UNIT"):
        return _unit(parse_into(msp_principal.OrganizationUnit(), principal.principal, "OrganizationUnit"))
    if kind == kinds.Value("COMBINED") and depth < MAX_POLICY_DEPTH:
        combined = parse_into(msp_principal.CombinedPrincipal(), principal.principal, "CombinedPrincipal")
        parts = [_compile_principal(part, depth + 1) for part in combined.principals]
        if parts:
            return lambda member: all(part(member) for part in parts)
    raise Invalid("principal is of an unknown kind", reason="bad-policy")


def _role(message: Any) -> Matcher:
    try:
        role = Role(message.role)
    except ValueError as error:
        raise Invalid("principal has an unknown role", reason="bad-policy") from error
    msp_id = message.msp_identifier
    return lambda member: member.identity.msp_id == msp_id and role in member.membership.roles


def _unit(message: Any) -> Matcher:
    if message.certifiers_identifier:
        raise Invalid("principal limits the certifiers of a unit", reason="unsupported")
    msp_id, unit = message.msp_identifier, message.organizational_unit_identifier
    return lambda member: member.identity.msp_id == msp_id and unit in member.identity.organizational_units
