"""Made-up people. Every one has the family name 测试 or Synthetic, and numbers that no authority can have given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final, Literal

from node_service.fhir.identifiers import check_character

Language = Literal["zh", "en"]

LANGUAGES: Final[tuple[Language, ...]] = ("zh", "en")
IMPOSSIBLE_REGION: Final = "999999"
"""GB/T 2260 region codes begin with 11 to 82: an identity number that begins so belongs to nobody."""

RECORD_NUMBER_SYSTEM: Final = "https://synthetic.example/record-number"

_OLDEST: Final = date(1935, 1, 1)
_YOUNGEST: Final = date(2008, 12, 31)
_GIVEN: Final[dict[Language, dict[str, tuple[tuple[str, str], ...]]]] = {
    "zh": {
        "female": (("一兰", "Yilan"), ("二梅", "Ermei"), ("三竹", "Sanzhu"), ("四菊", "Siju"), ("五荷", "Wuhe")),
        "male": (("一松", "Yisong"), ("二柏", "Erbai"), ("三山", "Sanshan"), ("四海", "Sihai"), ("五岳", "Wuyue")),
    },
    "en": {
        "female": (("Alpha", "Alpha"), ("Bravo", "Bravo"), ("Delta", "Delta"), ("Juliett", "Juliett")),
        "male": (("Charlie", "Charlie"), ("Oscar", "Oscar"), ("Romeo", "Romeo"), ("Victor", "Victor")),
    },
}
_FAMILY: Final[dict[Language, tuple[str, str]]] = {"zh": ("测试", "Ceshi"), "en": ("Synthetic", "Synthetic")}


@dataclass(frozen=True, slots=True)
class Person:
    """One made-up person.

    Attributes:
        index: position among the people of a seed.
        language: ``zh`` or ``en``.
        family: family name as written, and in Latin letters.
        given: given name as written, and in Latin letters.
        gender: FHIR administrative gender.
        birth_date: day of birth.
        identity_number: resident identity number with an impossible region and a right check digit.
        record_number: number of the medical record, of the system ``RECORD_NUMBER_SYSTEM``.
        insurance_number: number of the health insurance.
        card_number: number of the visit card.
    """

    index: int
    language: Language
    family: tuple[str, str]
    given: tuple[str, str]
    gender: Literal["female", "male"]
    birth_date: date
    identity_number: str
    record_number: str
    insurance_number: str
    card_number: str


def people(seed: int, count: int, language: Language) -> tuple[Person, ...]:
    """The people of a seed; the first ones stay the same when more are asked for."""
    return tuple(_person(seeded(f"{seed}/{language}/person/{index}"), index, language) for index in range(count))


def seeded(seed: str) -> Random:
    """Repeatable chance; nothing secret is made of it."""
    return Random(seed)  # noqa: S311 - repeatable on purpose, no key or token comes from here


def _person(random: Random, index: int, language: Language) -> Person:
    gender: Literal["female", "male"] = random.choice(("female", "male"))
    birth_date = _OLDEST + timedelta(days=random.randrange((_YOUNGEST - _OLDEST).days))
    return Person(
        index=index,
        language=language,
        family=_FAMILY[language],
        given=random.choice(_GIVEN[language][gender]),
        gender=gender,
        birth_date=birth_date,
        identity_number=_identity_number(random, birth_date, gender),
        record_number=f"SYN{random.randrange(10**8):08}",
        insurance_number=f"SYNINS{random.randrange(10**8):08}",
        card_number=f"SYNCARD{random.randrange(10**8):08}",
    )


def _identity_number(random: Random, birth_date: date, gender: str) -> str:
    """GB 11643-1999: region, day of birth, serial number (odd: male), check character."""
    serial = 2 * random.randrange(500) + (gender == "male")
    first_17 = f"{IMPOSSIBLE_REGION}{birth_date:%Y%m%d}{serial:03}"
    return first_17 + check_character(first_17)
