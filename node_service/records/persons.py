"""People of this hospital: found again by exact tokens, or made as unclaimed persons under a random patient id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from domain.errors import Conflict, NotFound
from domain.identifiers import IDENTIFIER_BYTES, identifier
from domain.instants import instant
from domain.jcs import JsonObject
from node_service.context import Node
from node_service.database.models import Person, PersonToken
from node_service.fhir.elements import objects_at, text_at
from node_service.fhir.identifiers import identifiers
from node_service.fhir.quality import Demographics, contradictions
from node_service.records.identity import person_identifier_token, person_source_token

_QUERY_ITEMS: Final = 400
_CONTESTED: Final = "contested"


@dataclass(frozen=True, slots=True)
class Card:
    """What is known about a person: names, gender, birth date, identifiers; sealed in the database.

    ``identifiers`` are [type, system, value].
    """

    names: tuple[str, ...] = field(default=(), repr=False)
    gender: str = field(default="", repr=False)
    birth_date: str = field(default="", repr=False)
    identifiers: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)

    def encode(self) -> bytes:
        """The JSON that is sealed."""
        fields = {
            "names": self.names, "gender": self.gender, "birthDate": self.birth_date, "identifiers": self.identifiers,
        }  # fmt: skip
        return json.dumps(fields, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, encoded: bytes) -> Card:
        """Read what :meth:`encode` wrote."""
        fields = json.loads(encoded)
        found = tuple((one[0], one[1], one[2]) for one in fields["identifiers"])
        return cls(tuple(fields["names"]), fields["gender"], fields["birthDate"], found)

    @property
    def demographics(self) -> Demographics:
        """What tells whether two cards can be one person."""
        gender = self.gender if self.gender in ("male", "female") else ""
        return Demographics(self.birth_date, gender, frozenset(self.names))


@dataclass(frozen=True, slots=True)
class Claim:
    """What input says about a person: the name at its source, identifiers, card."""

    source_token: bytes | None = field(repr=False)
    identifier_tokens: tuple[tuple[bytes, str], ...] = field(repr=False)
    card: Card = field(repr=False)

    @property
    def tokens(self) -> tuple[bytes, ...]:
        """All tokens."""
        own = () if self.source_token is None else (self.source_token,)
        return (*own, *(token for token, _ in self.identifier_tokens))

    @property
    def contested_token(self) -> bytes:
        """All of them together: the same contradiction again is the same person again, and nobody else."""
        return hashlib.sha256(b"".join((b"contested", *sorted(self.tokens)))).digest()


@dataclass(frozen=True, slots=True)
class Decided:
    """Which person it is; ``contradiction`` says that something of the claim leads elsewhere."""

    patient: str
    contradiction: bool


@dataclass(slots=True)
class _Change:
    """A person to be made, or what is learnt about one that exists."""

    is_new: bool
    card: Card = field(repr=False)
    tokens: dict[bytes, tuple[str, str | None]] = field(default_factory=dict, repr=False)


def claim_of_patient(node: Node, source: str, value: JsonObject) -> Claim:
    """What a Patient resource, or any object with ``identifier``, says about a person."""
    found = identifiers(value)
    tokens = ((person_identifier_token(node.secrets, source, one), one.type.value) for one in found)
    patient_id = text_at(value, "id")
    return Claim(
        person_source_token(node.secrets, source, patient_id) if patient_id else None,
        tuple({token: kind for token, kind in tokens if token is not None}.items()),
        Card(
            tuple(name for name in map(_name, objects_at(value, "name")) if name),
            text_at(value, "gender"),
            text_at(value, "birthDate"),
            tuple(one.key for one in found),
        ),
    )


class People:
    """Decides within one unit of work who is meant; writes what is new in the caller's transaction."""

    def __init__(self, node: Node, override: str | None = None) -> None:
        self._node = node
        self._override = override
        self._found: dict[bytes, frozenset[str]] = {}
        self._changes: dict[str, _Change] = {}
        self._cards: dict[str, Card] = {}

    def load(self, session: Session, claims: Iterable[Claim]) -> None:
        """Look up in the database whom the tokens of claims lead to.

        Raises:
            NotFound: the person to whom all input should go is unknown.
        """
        if self._override is not None and session.get(Person, self._override) is None:
            raise NotFound("there is no such patient", reason="no-patient")
        asked = {token for claim in claims for token in (*claim.tokens, claim.contested_token)}
        tokens = sorted(asked - self._found.keys())
        self._found.update(_lookup(session, tokens))
        patients = {patient for token in tokens for patient in self._found[token]} - self._cards.keys()
        for start in range(0, len(patients), _QUERY_ITEMS):
            for person in session.scalars(select(Person).where(Person.id.in_(sorted(patients)[start:][:_QUERY_ITEMS]))):
                self._cards[person.id] = open_card(self._node, person)

    def decide(self, claim: Claim) -> Decided:
        """Whose the input is; a new unclaimed person where nobody fits, or where the claim contradicts itself."""
        if self._override is not None:
            return Decided(self._override, False)
        if claim.tokens and (contested := self._found.get(claim.contested_token)):
            return Decided(min(contested), True)
        by_source = self._found.get(claim.source_token, frozenset()) if claim.source_token else frozenset()
        named = [self._found.get(token, frozenset()) for token, _ in claim.identifier_tokens]
        others = frozenset[str]().union(*named)
        if by_source and not self._is_somebody_else(min(by_source), claim, others):
            patient = min(by_source)
            self._learn(patient, claim)
            return Decided(patient, bool(others - {patient}))
        if len(others) == 1 and not by_source:
            patient = min(others)
            if not contradictions(self._cards[patient].demographics, claim.card.demographics):
                self._learn(patient, claim)
                return Decided(patient, False)
        return self._decide_new(claim, contradiction=bool(others or by_source))

    def _is_somebody_else(self, patient: str, claim: Claim, others: frozenset[str]) -> bool:
        """Whether the source uses an id again: no number is the person's, and numbers or demographics say another.

        A person known by mere references has no number yet and contradicts nothing.
        """
        known = self._cards[patient]
        if patient in others or not known.identifiers or not claim.identifier_tokens:
            return False
        return bool(others) or bool(contradictions(known.demographics, claim.card.demographics))

    def _decide_new(self, claim: Claim, *, contradiction: bool) -> Decided:
        patient = self._make(claim)
        if contradiction:
            self._changes[patient].tokens[claim.contested_token] = (_CONTESTED, None)
            self._found[claim.contested_token] = frozenset((patient,))
        return Decided(patient, contradiction)

    def leads_to(self, claim: Claim) -> frozenset[str]:
        """Everybody whom a claim names by something that is known already; empty for somebody new."""
        if self._override is not None:
            return frozenset((self._override,))
        tokens = (*claim.tokens, claim.contested_token)
        return frozenset[str]().union(*(self._found.get(token, frozenset()) for token in tokens))

    def chosen(self, patient: str) -> str:
        """The person found by a reference, or the one to whom all input of the run goes."""
        return self._override or patient

    def write(self, session: Session) -> None:
        """Write new people, tokens and cards in the caller's transaction.

        Raises:
            Conflict: meanwhile somebody else made one of these people; decide anew.
        """
        tokens = [token for change in self._changes.values() for token in change.tokens]
        now_found = _lookup(session, sorted(set(tokens)))
        for patient, change in self._changes.items():
            if any(now_found[token] - self._found_before(token, patient) for token in change.tokens):
                raise Conflict("somebody else has just entered one of these people", reason="person")
        at = instant(self._node.clock.now())
        for patient, change in self._changes.items():
            self._write_one(session, patient, change, now_found, at)

    def _write_one(
        self, session: Session, patient: str, change: _Change, found: dict[bytes, frozenset[str]], at: str
    ) -> None:
        sealed = seal_card(self._node, patient, change.card)
        if change.is_new:
            session.add(Person(id=patient, status="unclaimed", created_at=at, demographics=sealed))
            session.flush()
        elif change.card != self._cards.get(patient):
            session.execute(update(Person).where(Person.id == patient).values(demographics=sealed))
        session.add_all(
            PersonToken(token=token, patient=patient, kind=kind, identifier_type=identifier_type)
            for token, (kind, identifier_type) in change.tokens.items()
            if patient not in found[token]
        )

    def _found_before(self, token: bytes, patient: str) -> frozenset[str]:
        return self._found.get(token, frozenset()) | {patient}

    def _make(self, claim: Claim) -> str:
        patient = identifier(self._node.random(IDENTIFIER_BYTES))
        self._changes[patient] = _Change(True, claim.card)
        self._cards[patient] = claim.card
        self._attach(patient, claim)
        return patient

    def _learn(self, patient: str, claim: Claim) -> None:
        """The latest card counts; identifiers add up. A bare reference tells nothing."""
        known = self._changes[patient].card if patient in self._changes else self._cards[patient]
        card = _merged(known, claim.card)
        change = self._changes.setdefault(patient, _Change(False, known))
        change.card = card
        self._attach(patient, claim)

    def _attach(self, patient: str, claim: Claim) -> None:
        """Tokens that lead to somebody else stay theirs: a contested number must not spread."""
        change = self._changes[patient]
        kinds: dict[bytes, tuple[str, str | None]] = {
            token: ("identifier", kind) for token, kind in claim.identifier_tokens
        }
        if claim.source_token is not None:
            kinds[claim.source_token] = ("source", None)
        for token, kind in kinds.items():
            if not self._found.get(token):
                change.tokens[token] = kind
                self._found[token] = frozenset((patient,))


def open_card(node: Node, person: Person) -> Card:
    """The card of a person.

    Raises:
        Tampered: altered, or moved here from another person.
    """
    return Card.decode(node.secrets.open_local(["person", "demographics", person.id], person.demographics))


def seal_card(node: Node, patient: str, card: Card) -> bytes:
    """A card as it lies in the database."""
    return node.secrets.seal_local(["person", "demographics", patient], card.encode(), node.random)


def _merged(known: Card, said: Card) -> Card:
    if not (said.names or said.gender or said.birth_date or said.identifiers):
        return known
    return Card(
        said.names or known.names,
        said.gender or known.gender,
        said.birth_date or known.birth_date,
        tuple(dict.fromkeys((*known.identifiers, *said.identifiers))),
    )


def _lookup(session: Session, tokens: Sequence[bytes]) -> dict[bytes, frozenset[str]]:
    found: dict[bytes, set[str]] = {token: set() for token in tokens}
    for start in range(0, len(tokens), _QUERY_ITEMS):
        query = select(PersonToken.token, PersonToken.patient)
        for token, patient in session.execute(query.where(PersonToken.token.in_(tokens[start : start + _QUERY_ITEMS]))):
            found[token].add(patient)
    return {token: frozenset(patients) for token, patients in found.items()}


def _name(name: JsonObject) -> str:
    given = name.get("given")
    parts = [one for one in (given if isinstance(given, list) else ()) if isinstance(one, str)]
    family = text_at(name, "family")
    return text_at(name, "text") or " ".join(part for part in (*parts, family) if part)
