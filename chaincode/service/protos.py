"""The one place that names the generated classes of the peer–chaincode protocol, which come without type information.

Sources: fabric-protos ``peer/chaincode_shim.proto``, ``ledger/queryresult/kv_query_result.proto``.
"""

from __future__ import annotations

from typing import Any, Final

from fabric_protos.ledger.queryresult import kv_query_result_pb2
from fabric_protos.peer import chaincode_shim_pb2

shim: Any = chaincode_shim_pb2
query_result: Any = kv_query_result_pb2

SERVICE: Final = "protos.Chaincode"
METHOD: Final = "Connect"
"""The peer opens this stream; everything after that, in both directions, is a ``ChaincodeMessage``."""
