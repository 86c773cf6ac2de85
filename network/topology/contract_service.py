"""One contract service: with which package it registers, where it listens, which contract it runs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
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
        name: of the contract on the channel.
        service: which of the organisation's two ports it listens on.
        contract: ``module:function``; the product's own if None.
    """

    package_id: str
    name: str
    service: Service
    contract: str | None = None

    @property
    def label(self) -> str:
        """Of the package; it names the contract's definition."""
        return self.package_id.partition(":")[0]

    @classmethod
    def read(cls, layout: Layout, process: str) -> Self:
        """What was written last for a process.

        Raises:
            Invalid: the file is not of this form.
            Unavailable: it cannot be read.
        """
        path = layout.settings(process) / FILE
        with disk_errors(path):
            raw = path.read_bytes()
        try:
            return cls(**json.loads(raw))
        except (ValueError, TypeError) as error:
            raise Invalid("the contract service's settings cannot be read", place=process) from error

    @staticmethod
    def exists(layout: Layout, process: str) -> bool:
        """True once it was written."""
        return (layout.settings(process) / FILE).exists()

    @staticmethod
    def forget(layout: Layout, process: str) -> None:
        """Remove what was written.

        Raises:
            Unavailable: the disk refuses.
        """
        path = layout.settings(process) / FILE
        with disk_errors(path):
            path.unlink(missing_ok=True)

    def write(self, layout: Layout, process: str) -> None:
        """Keep it for the next start of a process.

        Raises:
            Unavailable: the disk refuses.
        """
        write_file(layout.settings(process) / FILE, (json.dumps(asdict(self), indent=1) + "\n").encode())

    def command(self, organization: Organization, placement: Placement) -> tuple[str, ...]:
        """The command line of the process, with this Python."""
        return (sys.executable, "-m", "chaincode.service", *self.arguments(organization, placement))

    def arguments(self, organization: Organization, placement: Placement) -> tuple[str, ...]:
        """The arguments of ``chaincode.service``."""
        files = Layout(placement.folder).contract(organization)
        return (
            "--package-id", self.package_id,
            "--name", self.name,
            "--address", placement.listen(organization, self.service),
            "--tls-certificate", str(files.tls_certificate),
            "--tls-key", str(files.tls_key),
            "--tls-client-root", str(files.tls_root),
            *(() if self.contract is None else ("--contract", self.contract)),
        )  # fmt: skip
