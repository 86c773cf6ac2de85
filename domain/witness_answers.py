"""What a witness answers to a fresh question: how far it has verified (docs/formats/witness.md, "Answers").

A nonce is asked once. Who asked knows that the answer is younger than the question, by their own clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from domain import signed_texts
from domain.checkpoints import Checkpoint, origin_of, parse_body
from domain.checks import check_integer, check_text
from domain.errors import Invalid, Tampered
from domain.identifiers import check_digest, check_msp_id, decode_bytes, encode_bytes
from domain.signed_texts import Sign, SignedText

TYPE: Final = "witness-answer"
NONCE_BYTES: Final = 32
_MAX_BODY_CHARACTERS: Final = 512
_MAX_CHANNEL_CHARACTERS: Final = 249


@dataclass(frozen=True, slots=True)
class Answer:
    """A witness's answer.

    Attributes:
        nonce: of the question, base64url.
        block: number of the highest block that it has verified.
        header: that block's header hash.
        validity: which transactions are valid up to that block (:mod:`domain.validity`).
        checkpoint: body of the checkpoint over all verified blocks; its size is ``block + 1``.
    """

    channel: str
    msp: str
    nonce: str
    block: int
    header: str
    validity: str
    checkpoint: str

    def __post_init__(self) -> None:
        check_text(self.channel, "channel", max_characters=_MAX_CHANNEL_CHARACTERS)
        check_msp_id(self.msp, "msp")
        check_nonce(self.nonce)
        check_integer(self.block, "block")
        check_digest(self.header, "header")
        check_digest(self.validity, "validity")
        checkpoint = parse_body(check_text(self.checkpoint, "checkpoint", max_characters=_MAX_BODY_CHARACTERS))
        if checkpoint.origin != origin_of(self.channel) or checkpoint.size != self.block + 1:
            raise Invalid("the checkpoint is over other blocks than the answer says", place="checkpoint")

    def head(self) -> Checkpoint:
        """The checkpoint over all blocks that the witness has verified."""
        return parse_body(self.checkpoint)


def check_nonce(value: object) -> str:
    """Return the value if it is a nonce: 32 bytes in base64url.

    Raises:
        Invalid: otherwise.
    """
    return encode_bytes(decode_bytes(value, "nonce", length=NONCE_BYTES))


def sign_answer(answer: Answer, sign: Sign) -> SignedText:
    """The answer with the witness's signature."""
    return signed_texts.sign_text(signed_texts.encode(TYPE, answer), sign)


def verify_answer(signed: SignedText, *, channel: str, msp_id: str, nonce: str, keys: Sequence[bytes]) -> Answer:
    """Verify the answer of a member's witness to one question.

    Args:
        keys: the member's present ``witness`` keys.

    Raises:
        Tampered: not signed by that member's witness, or another channel, member or question.
        Invalid: the signed text is no answer.
    """
    signed_texts.verify_text(signed, keys)
    answer = signed_texts.parse(Answer, TYPE, signed.text)
    if (answer.channel, answer.msp, answer.nonce) != (channel, msp_id, nonce):
        raise Tampered("the answer is to another question", reason="another-question", place="nonce")
    return answer


def to_json(signed: SignedText) -> dict[str, str]:
    """The answer as it is sent: ``{"answer", "signature"}``."""
    return {"answer": signed.text, "signature": signed.signature}


def from_json(value: object) -> SignedText:
    """Read what :func:`to_json` wrote.

    Raises:
        Invalid: otherwise.
    """
    if not isinstance(value, dict) or value.keys() != {"answer", "signature"}:
        raise Invalid("an answer and its signature are expected", place="answer")
    return SignedText(value["answer"], value["signature"])
