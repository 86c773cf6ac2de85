"""One valid value of every form that the domain checks field by field."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from domain import (
    effective,
    entries,
    erasure,
    grants,
    leaves,
    queries,
    receipt_form,
    statements,
    transactions,
    wallet_consent,
    witness_log,
)
from domain.checkpoints import Checkpoint
from domain.identifiers import encode_bytes, identifier
from domain.paths import LeafPath
from domain.signed_texts import SignedText
from domain.witness_answers import Answer
from domain.witness_key import WitnessPublicKey

ID, OTHER_ID = identifier(bytes(16)), identifier(bytes(15) + b"\1")
DIGEST = encode_bytes(bytes(32))
SIGNATURE = encode_bytes(bytes(64))
NOW, LATER = "2026-03-01T12:00:00Z", "2026-03-02T12:00:00Z"
KEY = encode_bytes(Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw())
WRAP_KEY = encode_bytes(X25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw())

KEYS = statements.PatientKeys("Ed25519", KEY, "HPKE-X25519", WRAP_KEY)
GRANT = statements.GrantTerms("B", ID, ("imaging", "result"), ("TREAT",), ("read",), NOW, LATER, NOW, DIGEST, ID)
DISSENT = statements.DissentTerms(("result",), ("BTG", "TREAT"), DIGEST)
PUBLISHED = transactions.OrganizationKey("signing", "Ed25519", "k1", KEY, NOW, LATER)
OPENING = transactions.Opening("restore", 0, 0)
LOG_HEAD = transactions.LogHead(1, DIGEST, (DIGEST,))
PATH = LeafPath(1, 0, 1, (DIGEST,))
AUTHOR = leaves.Author("B", "k1", "Ed25519", SIGNATURE)

FORMS: tuple[object, ...] = (
    KEYS,
    statements.Envelope(ID, "channel", ID, "A", 1, 1, NOW),
    statements.Enrol(KEYS),
    statements.Rotate(KEYS),
    GRANT,
    DISSENT,
    statements.Revoke("grant", ID),
    statements.RevokeEverything(2),
    statements.Session("A", DIGEST),
    statements.Erasure(DIGEST),
    PUBLISHED,
    transactions.RegisterOrganization("https://a.example", (PUBLISHED,), "https://witness.a.example"),
    transactions.RotateKey("text", SIGNATURE, SIGNATURE),
    transactions.CloseRegistration(ID, "deceased"),
    LOG_HEAD,
    OPENING,
    transactions.Anchor(1, OPENING, LOG_HEAD, LOG_HEAD, 0),
    transactions.CreateRecord(ID, DIGEST),
    transactions.RetractRecord(ID, "wrong-patient"),
    transactions.LockRecord(ID, "retention", NOW),
    transactions.EraseRecord((ID,)),
    transactions.AttestErasure("A", (ID,), NOW),
    transactions.RequestAccess(ID, NOW),
    transactions.OpenAccess(ID, ID, ID, ID, "TREAT", DIGEST, DIGEST, NOW),
    transactions.BreakGlass(ID, "A", DIGEST, ID, "unconscious", ("result",), DIGEST, DIGEST, NOW),
    transactions.ReviewBreakGlass(ID, "justified", ID, DIGEST),
    transactions.AnchorStatement(ID, "erasure-request", DIGEST, "text", SIGNATURE),
    queries.QueryOrganization("A"),
    queries.QueryPatient(ID),
    queries.QueryGrants(ID, "bookmark", 1),
    queries.QueryDissents(ID),
    queries.QueryAccesses(None, "bookmark", 1),
    queries.QueryEmergency(ID),
    queries.QueryRequest(ID),
    queries.QueryLog("A"),
    queries.QueryRecord("A", ID),
    queries.QueryStatement("ai-result", ID),
    queries.QueryHistory(("org", "A")),
    entries.OrganizationEntry("active", "https://a.example", (PUBLISHED,), "https://witness.a.example"),
    entries.KeyHolderEntry("A"),
    entries.PreviousKeys(1, KEYS),
    entries.PatientEntry("A", KEYS, 1, "closed", "deceased", ID, (entries.PreviousKeys(1, KEYS),)),
    entries.FloorEntry(1),
    entries.Head(0, DIGEST),
    entries.LogEntry(OPENING, entries.Head(0, DIGEST), entries.Head(0, DIGEST), 0),
    entries.RecordEntry(DIGEST),
    entries.StatusEntry("locked", "retention", NOW),
    entries.AttestationEntry(NOW),
    entries.GrantEntry("active", "A", GRANT, 1, 1, ID),
    entries.DissentEntry("active", "A", DISSENT, 1, ID),
    entries.UsedEntry(DIGEST),
    entries.RequestEntry("A", NOW),
    entries.AnswerEntry(ID),
    entries.AccessEntry(ID, ID, "A", ID, "TREAT", NOW, LATER, DIGEST, DIGEST),
    entries.EmergencyEntry("A", "B", DIGEST, ID, "unconscious", ("result",), NOW, LATER, DIGEST, DIGEST),
    entries.ReviewEntry("justified", ID, DIGEST, NOW),
    entries.StatementEntry(DIGEST, "A", NOW, DIGEST),
    PATH,
    AUTHOR,
    leaves.RecordLeaf(ID, 2, DIGEST, "A", AUTHOR, DIGEST, DIGEST, 10, "2026-03-01", DIGEST),
    leaves.AccessLeaf(ID, NOW, "read", "A", "doctor", "TREAT", ID, ID, (ID,), "ok", DIGEST),
    witness_log.LogEntry(0, DIGEST, DIGEST, DIGEST),
    witness_log.Write(0, "tx", "key", b"value"),
    witness_log.WriteLeaf(0, "tx", "key", DIGEST),
    receipt_form.Proven("record", "key", "value", "leaf", PATH),
    receipt_form.WritePlace(0, "tx", 0, 1, (DIGEST,)),
    receipt_form.Inclusion(1, (DIGEST,)),
    receipt_form.Member("A", (KEY,)),
    receipt_form.Members("channel", "fabric", (receipt_form.Member("A", (KEY,)),)),
    Answer("channel", "A", DIGEST, 0, DIGEST, DIGEST, Checkpoint("yilian/channel", 1, bytes(32)).body()),
    WitnessPublicKey("channel", "A", KEY),
    effective.Effective("channel", "A", ID, ID, "tx", 0, NOW),
    SignedText("text", SIGNATURE),
    erasure.Attested("B", NOW),
    erasure.Missing("B", "told"),
    erasure.KeptRecord(ID, NOW, "rule"),
    erasure.Certificate("channel", "A", "k1", ID, ID, DIGEST, NOW, (), (erasure.KeptRecord(ID, NOW, "rule"),)),
    grants.AccessRequest("B", ID, "TREAT", NOW),
    grants.RecordFacts("result", "read", NOW),
    wallet_consent.Parties(ID, ID, "A", NOW),
    erasure.ErasedRecord(ID, "tx", NOW, NOW, NOW, (erasure.Attested("B", NOW),), (erasure.Missing("C", "told"),)),
)
