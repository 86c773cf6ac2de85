"""One hospital's contract service: with which package it registers, where it listens, which contract it runs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from domain.errors import Invalid
from network.topology.description import Organization, Service
from network.topology.layout import Layout, disk_errors, write_file
from network.topology.placement import Placement

FILE: Final = "service.json"


@dataclass(frozen=True, slots=True)
class ContractService:
    """What the process is started with.

    Attributes:
        package_id: as the peer knows the package that names this service.
        service: which of the organisation's two ports it listens on.
        contract: ``module:function``; the product's own if None.
    """

    package_id: str
    service: Service
    contract: str | None = None

    @classmethod
    def read(cls, layout: Layout, organization: Organization) -> Self:
        """What was written last.

        Raises:
            Invalid: the file is not of this form.
            Unavailable: it cannot be read.
        """
        path = _path(layout, organization)
        with disk_errors(path):
            raw = path.read_bytes()
        try:
            return cls(**json.loads(raw))
        except (ValueError, TypeError) as error:
            raise Invalid("the contract service's settings cannot be read", place=path.name) from error

    @staticmethod
    def exists(layout: Layout, organization: Organization) -> bool:
        """True once it was written."""
        return _path(layout, organization).exists()

    def write(self, layout: Layout, organization: Organization) -> None:
        """Keep it for the next start.

        Raises:
            Unavailable: the disk refuses.
        """
        write_file(_path(layout, organization), (json.dumps(asdict(self), indent=1) + "\n").encode())

    def command(self, layout: Layout, organization: Organization, placement: Placement) -> tuple[str, ...]:
        """The command line of the process."""
        return (sys.executable, "-m", "chaincode.service", *self.arguments(layout, organization, placement))

    def arguments(self, layout: Layout, organization: Organization, placement: Placement) -> tuple[str, ...]:
        """The arguments of ``chaincode.service``."""
        files = layout.contract(organization)
        return (
            "--package-id", self.package_id,
            "--address", placement.listen(organization, self.service),
            "--tls-certificate", str(files.tls_certificate),
            "--tls-key", str(files.tls_key),
            "--tls-client-root", str(files.tls_root),
            *(() if self.contract is None else ("--contract", self.contract)),
        )  # fmt: skip


def _path(layout: Layout, organization: Organization) -> Path:
    return layout.settings(organization.process("contract")) / FILE
