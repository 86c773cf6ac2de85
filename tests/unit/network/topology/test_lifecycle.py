"""A hospital's package and service: what the peer is told, and what the builder makes of it."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from chaincode.service.package import package_id
from domain.errors import Invalid, Unavailable
from network.topology import config_updates
from network.topology.administration import Administration
from network.topology.contract_service import ContractService
from network.topology.description import Organization, Topology
from network.topology.engine import PROGRAMS, Binaries, ProgramFailed
from network.topology.layout import Layout
from network.topology.lifecycle import Definition, approve, make_package
from network.topology.placement import BUILDER, Placement

RENHE = Organization("renhe", "RenheMSP", 17000)
MINGDE = Organization("mingde", "MingdeMSP", 17100)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path)
    client = made.contract_client(RENHE)
    client.tls_key.parent.mkdir(parents=True)
    for path, text in ((client.tls_key, "KEY"), (client.tls_certificate, "CERTIFICATE"), (client.tls_root, "ROOT")):
        path.write_text(text)
    return made


def unpacked(package: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:*") as archive:
        found = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        return {name: file.read() for name, file in found.items() if file is not None}


def test_the_package_names_the_hospital_s_own_service_with_mutual_tls(layout: Layout) -> None:
    identity = make_package(layout, RENHE, "yilian_1", Placement(layout.folder), "contract")
    raw = layout.package("yilian_1", RENHE).read_bytes()
    assert identity == package_id("yilian_1", raw)
    connection = json.loads(unpacked(unpacked(raw)["code.tar.gz"])["connection.json"])
    assert connection == {
        "address": "127.0.0.1:17006",
        "dial_timeout": "5s",
        "tls_required": True,
        "client_auth_required": True,
        "client_key": "KEY",
        "client_cert": "CERTIFICATE",
        "root_cert": "ROOT",
    }
    assert layout.package("yilian_1", RENHE).stat().st_mode & 0o077 == 0


def test_another_port_or_certificate_is_another_package(layout: Layout) -> None:
    placement = Placement(layout.folder)
    first = make_package(layout, RENHE, "yilian_1", placement, "contract")
    assert make_package(layout, RENHE, "yilian_1", placement, "contract") == first
    assert make_package(layout, RENHE, "yilian_1", placement, "contract-next") != first
    layout.contract_client(RENHE).tls_certificate.write_text("ANOTHER")
    assert make_package(layout, RENHE, "yilian_1", placement, "contract") != first


def test_the_builder_takes_services_and_tells_the_peer_where_they_are(layout: Layout, tmp_path: Path) -> None:
    make_package(layout, RENHE, "yilian_1", Placement(layout.folder), "contract")
    outer = unpacked(layout.package("yilian_1", RENHE).read_bytes())
    source, metadata, built, released = (tmp_path / name for name in ("source", "metadata", "built", "released"))
    for folder in (source, metadata, built, released):
        folder.mkdir()
    (metadata / "metadata.json").write_bytes(outer["metadata.json"])
    (source / "connection.json").write_bytes(unpacked(outer["code.tar.gz"])["connection.json"])
    assert run("detect", source, metadata) == 0
    assert run("build", source, metadata, built) == 0
    assert run("release", built, released) == 0
    told = released / "chaincode" / "server" / "connection.json"
    assert told.read_bytes() == (source / "connection.json").read_bytes()
    (metadata / "metadata.json").write_text('{"type": "golang", "label": "other"}')
    assert run("detect", source, metadata) != 0


def run(program: str, *folders: Path) -> int:
    return subprocess.run([BUILDER / "bin" / program, *folders], check=False).returncode


@pytest.mark.parametrize("version", ["", "one two", "1/2", "x" * 65])
def test_a_version_that_fabric_refuses_is_refused_before(version: str) -> None:
    with pytest.raises(Invalid):
        Definition(1, version)


def test_a_service_is_started_again_as_it_was(layout: Layout) -> None:
    service = ContractService("yilian_1:00", "yilian", "contract-next", "module:function")
    assert not ContractService.exists(layout, "contract-renhe")
    service.write(layout, "contract-renhe")
    assert ContractService.read(layout, "contract-renhe") == service
    arguments = service.arguments(RENHE, Placement(layout.folder))
    assert arguments[arguments.index("--address") + 1] == "127.0.0.1:17007"
    assert arguments[-2:] == ("--contract", "module:function")
    assert "--contract" not in ContractService("a:0", "yilian", "contract").arguments(RENHE, Placement(layout.folder))
    ContractService.forget(layout, "contract-renhe")
    with pytest.raises(Unavailable):
        ContractService.read(layout, "contract-renhe")


def test_settings_of_a_service_that_are_none_are_refused(layout: Layout) -> None:
    path = layout.settings("contract-renhe") / "service.json"
    path.parent.mkdir(parents=True)
    for raw in ("{", "[]", '{"package": 1}'):
        path.write_text(raw)
        with pytest.raises(Invalid):
            ContractService.read(layout, "contract-renhe")


PEER = """#!/bin/sh
echo "$@" >> "$0.calls"
case "$*" in
  *queryapproved*) cat "$0.approved" 2>/dev/null && exit 0
    echo "Error: could not fetch approved chaincode definition" >&2; exit 1 ;;
  *" -o 127.0.0.1:17103 "*) exit 0 ;;
  *) echo "Error: $(cat "$0.complaint")" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def administration(layout: Layout) -> Administration:
    """Its command ``peer`` complains of the ordering node of Renhe, and is content with that of Mingde."""
    folder = layout.folder / "bin"
    folder.mkdir()
    for name in PROGRAMS:
        (folder / name).write_text(PEER)
        (folder / name).chmod(0o700)
    topology = Topology((RENHE, MINGDE, Organization("ankang", "AnkangMSP", 17200)), "raft")
    return Administration(topology, Binaries(folder), Placement(layout.folder))


def approve_at(administration: Administration, complaint: str) -> list[str]:
    """The calls of ``peer`` that ask an ordering node."""
    administration.binaries.path("peer").with_name("peer.complaint").write_text(complaint)
    approve(administration, RENHE, "yilian_1:00", Definition(1, "1"), RENHE)
    return approvals(administration)


def approvals(administration: Administration) -> list[str]:
    calls = administration.binaries.path("peer").with_name("peer.calls").read_text().splitlines()
    return [call for call in calls if "approveformyorg" in call]


def test_an_ordering_node_that_loses_a_transaction_is_not_asked_again_at_once(administration: Administration) -> None:
    first, second = approve_at(administration, "failed to send transaction: EOF")
    assert "-o 127.0.0.1:17103" not in first
    assert "-o 127.0.0.1:17103" in second


def test_what_is_in_force_was_not_lost(administration: Administration) -> None:
    approved = {"source": {"Type": {"LocalPackage": {"package_id": "yilian_1:00"}}}}
    administration.binaries.path("peer").with_name("peer.approved").write_text(json.dumps(approved))
    assert len(approve_at(administration, "failed to send transaction: EOF")) == 1


@pytest.mark.parametrize("complaint", ["not allowed", "failed to send transaction: got unexpected status: FORBIDDEN"])
def test_a_refusal_is_told_at_once(administration: Administration, complaint: str) -> None:
    with pytest.raises(ProgramFailed, match=complaint):
        approve_at(administration, complaint)
    assert len(approvals(administration)) == 1


def test_a_change_that_was_sent_and_not_answered_is_not_called_refused(
    administration: Administration, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = administration.binaries.path("peer")
    monkeypatch.setattr(config_updates, "SEND_TIMEOUT_S", 0.2)
    monkeypatch.setattr(config_updates, "RESEND_AFTER_S", 0.0)
    change = config_updates.Submission(administration, peer, 1, RENHE, RENHE)
    peer.write_text("#!/bin/sh\ncase $2 in update) exec sleep 9;; esac\necho Error: not now >&2; exit 1\n")
    with pytest.raises(Unavailable, match="not now"):
        change.attempt()
    refused = "case $2 in update) echo Error: BAD_REQUEST >&2;; *) echo Error: not now >&2;; esac; exit 1"
    peer.write_text(f"#!/bin/sh\n{refused}\n")
    with pytest.raises(Unavailable, match="not now"):
        change.attempt()
