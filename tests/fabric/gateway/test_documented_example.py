"""The example of docs/gateway-client.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path

from network.fabric.connection import Connection
from network.topology.native import NativeNetwork
from tests.fabric.second_contract import SecondContract

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "gateway-client.md"


def test_the_complete_example_runs(fabric: NativeNetwork, contract_of_two: SecondContract, tmp_path: Path) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert contract_of_two.name == "drawers"
    example: dict[str, object] = {}
    exec(compile(source, str(DOCUMENT), "exec"), example)  # noqa: S102 - the document is ours
    told = Connection.read(fabric.connection_file("RenheMSP"))
    main = example["main"]
    assert callable(main)
    lines = main(
        told.own_peer.address, told.own_peer.tls_root, told.msp, told.certificate, told.key, tmp_path / "checkpoint"
    )
    assert lines == ["hello", "VALID", "RenheMSP", 'Put {"drawer":"top","text":"second"}']
    assert (tmp_path / "checkpoint").exists()
