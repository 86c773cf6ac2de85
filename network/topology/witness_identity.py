"""Who a hospital's witness is on the channel: a member, so peers give it blocks; no node, so the contract refuses it.

It has a certificate and keys of its own, of the unit ``client`` with the attribute ``yilian.role=witness``
(docs/formats/ledger.md, rule 1). A hospital with an authority of its own registers it there with that attribute.
"""

from __future__ import annotations

from typing import Final

from chaincode.contract.v1.call import ROLE_ATTRIBUTE
from network.topology.description import Organization
from network.topology.layout import Layout
from network.topology.reissuing import Holder, derive

WITNESS_ROLE: Final = "witness"


def make_witness(layout: Layout, organization: Organization) -> None:
    """Make the material of a hospital's witness, unless it is there.

    Raises:
        Invalid: a certificate or key of the hospital is none.
        Unavailable: the disk refuses, or there is no authority's key.
    """
    files = layout.witness(organization)
    holder = Holder(files.folder.name, {ROLE_ATTRIBUTE: WITNESS_ROLE})
    derive(layout.client(organization), files, layout.peer_organization(organization), holder)
