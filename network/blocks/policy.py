"""Policies: who must have signed (common/policies.proto; Fabric common/cauthdsl, common/policies).

Signers are valid, *distinct* identities: a certificate that signed twice counts once, and a signature or identity that
does not verify counts not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from domain.errors import Denied, Invalid, Tampered
from network.blocks.member import Member, verify_member
from network.blocks.msp import Msp
from network.blocks.principal import Matcher, compile_principal
from network.blocks.protos import parse_into, policies

MAX_POLICY_DEPTH = 32
"""Of groups."""


@dataclass(frozen=True, slots=True)
class SignedData:
    """A message, who is said to have signed it (serialized identity), and the signature."""

    message: bytes
    identity: bytes
    signature: bytes


class Policy(Protocol):
    """A rule over a set of distinct members."""

    def satisfied_by(self, members: Sequence[Member]) -> bool:
        """Whether these members together fulfil the rule."""
        ...


_Rule = Callable[[Sequence[Member], list[bool]], bool]


def signers(signed: Iterable[SignedData], msps: Mapping[str, Msp]) -> list[Member]:
    """The distinct valid members among these signatures; the others are passed over, as Fabric does."""
    members: dict[tuple[str, bytes], Member] = {}
    for item in signed:
        try:
            member = verify_member(item.identity, msps)
            key = (member.identity.msp_id, member.membership.distinguished_by)
            if key not in members:
                member.verify_signature(item.signature, item.message)
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
    matchers = [compile_principal(principal) for principal in envelope.identities]
    return SignaturePolicy(_compile_rule(envelope.rule, matchers))


def _compile_rule(rule: Any, matchers: list[Matcher]) -> _Rule:
    """The library that reads policies bounds how deep one is nested."""
    kind = rule.WhichOneof("Type")
    if kind == "signed_by":
        if not 0 <= rule.signed_by < len(matchers):
            raise Invalid("signature policy names no such principal", reason="bad-policy")
        return _signed_by(matchers[rule.signed_by])
    if kind == "n_out_of":
        return _n_out_of(rule.n_out_of.n, [_compile_rule(item, matchers) for item in rule.n_out_of.rules])
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
