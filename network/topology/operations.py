"""HTTPS services of nodes for whoever runs them: health and metrics, and an orderer's channels.

Sources: Fabric ``docs/source/operations_service.rst``; channel participation API, ``swagger/swagger-fabric.json``.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Final

import httpx

from domain.errors import Conflict, Unavailable
from network.topology.layout import NodeFiles, disk_errors

REQUEST_TIMEOUT_S: Final = 10.0
_CHANNELS: Final = "/participation/v1/channels"


class NodeEndpoint:
    """One HTTPS service of a node, with mutual TLS."""

    def __init__(self, address: str, client: NodeFiles, *, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """Args:
        client: who asks; its certificate authority is the node's too.

        Raises:
            Unavailable: the material cannot be read.
        """
        with disk_errors(client.tls_root):
            context = ssl.create_default_context(cafile=str(client.tls_root))
            context.load_cert_chain(client.tls_certificate, client.tls_key)
        self._client = httpx.Client(base_url=f"https://{address}", verify=context, timeout=timeout_s, trust_env=False)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> NodeEndpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check_health(self) -> None:
        """Raises:
        Unavailable: it does not answer, or says that a part of it is not well.
        """
        self.request("GET", "/healthz")

    def metric(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        """The first value of a metric that has these labels.

        Raises:
            Unavailable: the node does not answer.
        """
        wanted = [f'{label}="{value}"' for label, value in (labels or {}).items()]
        for line in self.request("GET", "/metrics").text.splitlines():
            named = line.startswith((f"{name} ", f"{name}{{"))
            if named and all(label in line for label in wanted):
                return float(line.rsplit(" ", 1)[1])
        return None

    def join_channel(self, block: bytes) -> None:
        """Make an orderer take part in the channel of a configuration block.

        Raises:
            Conflict: it takes part already.
            Unavailable: it refused or did not answer.
        """
        self.request("POST", _CHANNELS, files={"config-block": ("config.block", block)})

    def leave_channel(self, channel: str) -> None:
        """Make an orderer forget a channel.

        Raises:
            Unavailable: it refused or did not answer.
        """
        self.request("DELETE", f"{_CHANNELS}/{channel}")

    def channel(self, channel: str) -> dict[str, Any]:
        """What an orderer says of a channel: ``status``, ``consensusRelation``, ``height``.

        Raises:
            Unavailable: it does not take part, or did not answer.
        """
        told: dict[str, Any] = self.request("GET", f"{_CHANNELS}/{channel}").json()
        return told

    def request(self, method: str, path: str, **content: Any) -> httpx.Response:
        """One request.

        Raises:
            Conflict: the node says that it is so already (405).
            Unavailable: any other answer but success, or none.
        """
        try:
            answer = self._client.request(method, path, **content)
        except httpx.HTTPError as error:
            raise Unavailable(f"a node does not answer: {type(error).__name__}", reason="node-down") from error
        if answer.status_code == httpx.codes.METHOD_NOT_ALLOWED:
            raise Conflict("the node takes part in the channel already", reason="joined")
        if not answer.is_success:
            raise Unavailable(f"a node answered {answer.status_code}: {answer.text[:200].strip()}", reason="node")
        return answer
