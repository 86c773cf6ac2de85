"""Receipts that the wallet asks for: verified against the members it knows, and about just what was asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from domain.errors import NotFound, Tampered, Unavailable
from domain.identifiers import decode_bytes, encode_bytes
from domain.jcs import parse_object
from domain.leaves import parse_access_leaf
from domain.receipt_form import Receipt
from domain.receipts import ReceiptVerifier, VerifiedReceipt, verify_receipt
from node_service.client.wallet_client import WalletClient
from patient_wallet.members import KnownMembers
from patient_wallet.refusing import receipts_of
from patient_wallet.registration import Registration

OF_PATIENT: Final = ("grant", "dissent", "statement-used")
OPENINGS: Final = ("access", "emergency")
MAX_PAGES: Final = 10_000


def verify_own_receipt(
    encoded: bytes, members: KnownMembers, registration: Registration, kind: str, name: str
) -> VerifiedReceipt:
    """Verify a receipt and that it is about what was asked for.

    Raises:
        Tampered: it proves something else, or nothing.
        Unavailable: too few signatures (``not-witnessed``).
    """
    verified = verify_receipt(receipts_of(encoded), members.file, {registration.msp_id})
    proven = verified.proven
    if kind in OF_PATIENT or kind in OPENINGS:
        attributes = (registration.patient, name) if kind in OF_PATIENT else (name,)
        fits = (proven.kind, proven.key) == ("write", "\0".join(("", kind, *attributes, "")))
        if kind == "access":  # an emergency's entry names nobody
            fits = fits and parse_object(proven.value.encode()).get("patient") == registration.patient
    else:
        field = "record" if kind == "record" else "id"
        fits = proven.kind == kind and proven.leaf is not None and parse_object(proven.leaf.encode()).get(field) == name
    if not fits:
        raise Tampered("the receipt is about something else", reason="other-receipt", place=name)
    return verified


def verified_rows(client: WalletClient, members: KnownMembers, custodian: str) -> dict[str, VerifiedReceipt]:
    """The verified receipts of the rows about the patient, by the row's leaf in base64url.

    Raises:
        Tampered: a receipt does not hold, or is no row's of this custodian's log.
    """
    found: dict[str, VerifiedReceipt] = {}
    verifier = ReceiptVerifier(members.file)
    for receipt in _row_receipts(client):
        try:
            verified = verifier.verify(receipt, {custodian})
        except Unavailable:
            continue  # signed, but not by enough who take no part in it yet
        proven = verified.proven
        if proven.kind != "access-row" or proven.leaf is None or proven.key.split("\0")[2] != custodian:
            raise Tampered("the receipt is about something else", reason="other-receipt")
        found[encode_bytes(proven.leaf.encode())] = verified
    return found


def row_receipt(client: WalletClient, name: str) -> bytes:
    """The receipt of the row of this id, wherever it stands in the list; not verified here.

    Raises:
        NotFound: there is no such row.
        Unavailable: it is not on the ledger yet (``not-witnessed``).
    """
    after = None
    for _ in range(MAX_PAGES):
        page = client.accesses(after)
        for item in page.items:
            if parse_access_leaf(decode_bytes(item.leaf, "leaf")).id == name:
                if item.path is None:
                    raise Unavailable("this is not on the ledger yet", reason="not-witnessed")
                return client.access_row_receipt(item.path.incarnation, item.path.index)
        if page.next is None:
            break
        after = page.next
    raise NotFound("there is no such row", reason="no-row")


def _row_receipts(client: WalletClient) -> Iterator[Receipt]:
    after = None
    for _ in range(MAX_PAGES):
        page = client.access_row_receipts(after)
        yield from (receipts_of(item.receipt.encode()) for item in page.items if item.receipt is not None)
        if page.next is None:
            return
        after = page.next
    raise Tampered("the hospital's pages do not end", reason="pages")
