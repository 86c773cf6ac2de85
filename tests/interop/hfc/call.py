"""Calls of hfc 1.0.0 (fabric-sdk-py); runs in hfc's environment, without anything of the product.

Standard input is JSON: ``profile`` (a file), ``channel``, ``peers`` (their names in the profile), ``organisation``,
``call`` (a key of ``CALLS``), ``arguments`` (a list; more than one are called at once), ``shared`` (on one client, not
one each) and ``debug`` (log all that hfc logs). Standard output is a list, for each call ``{"returned": …}`` or
``{"raised": type, "text": …}``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from hfc.fabric import Client
from hfc.fabric_network.gateway import Gateway

TIMEOUT_S = 60
USER = "node"  # the name of the one user in the profile


@dataclass(frozen=True)
class Session:
    """A client and what each of its calls wants to be told."""

    client: Any
    user: Any
    profile: str
    channel: str
    peers: list[str]

    @property
    def reading(self) -> dict[str, Any]:
        """Who asks where, of the first peer alone."""
        return {"requestor": self.user, "channel_name": self.channel, "peers": self.peers[:1]}

    @property
    def writing(self) -> dict[str, Any]:
        """Who asks where, of all peers."""
        return {**self.reading, "peers": self.peers}


async def chaincode_query(
    session: Session, contract: str, function: str, args: list[str], transient: dict[str, str] | None = None
) -> Any:
    private = {name: value.encode() for name, value in (transient or {}).items()}
    return await session.client.chaincode_query(
        **session.reading, cc_name=contract, fcn=function, args=args, transient_map=private
    )


async def chaincode_invoke(session: Session, contract: str, function: str, args: list[str]) -> Any:
    return await session.client.chaincode_invoke(
        **session.writing, cc_name=contract, fcn=function, args=args, wait_for_event=True
    )


async def query_block(session: Session, number: str) -> Any:
    return shown(await session.client.query_block(**session.reading, block_number=number))


async def query_block_by_txid(session: Session, tx_id: str) -> Any:
    return shown(await session.client.query_block_by_txid(**session.reading, tx_id=tx_id))


async def query_transaction(session: Session, tx_id: str) -> Any:
    found = await session.client.query_transaction(**session.reading, tx_id=tx_id)
    return {"code": found["validation_code"], **transaction(found["transaction_envelope"])}


async def gateway_submit(session: Session, contract: str, name: str, args: list[str]) -> Any:
    return await (await gateway_contract(session, contract)).submit_transaction(name, args, session.user)


async def gateway_evaluate(session: Session, contract: str, name: str, args: list[str]) -> Any:
    return await (await gateway_contract(session, contract)).evaluate_transaction(name, args, session.user)


async def gateway_contract(session: Session, contract: str) -> Any:
    gateway = Gateway()
    await gateway.connect(session.profile, {"wallet": ""})
    network = await gateway.get_network(session.channel, session.user)
    return network.get_contract(contract)


def shown(block: dict[str, Any]) -> dict[str, Any]:
    """Header, transactions and validation codes of a block as hfc decodes it."""
    header = block["header"]
    return {
        "number": header["number"],
        "previous_hash": text(header["previous_hash"]),
        "data_hash": text(header["data_hash"]),
        "transactions": [transaction(envelope) for envelope in block["data"]["data"]],
        "codes": list(block["metadata"]["metadata"][2]),
    }


def transaction(envelope: dict[str, Any]) -> dict[str, Any]:
    header = envelope["payload"]["header"]["channel_header"]
    return {"id": header["tx_id"], "type": header["type"], "channel": header["channel_id"]}


def text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


CALLS: dict[str, Callable[..., Awaitable[Any]]] = {
    call.__name__: call
    for call in (
        chaincode_query,
        chaincode_invoke,
        query_block,
        query_block_by_txid,
        query_transaction,
        gateway_submit,
        gateway_evaluate,
    )
}


async def outcome(call: Awaitable[Any]) -> dict[str, Any]:
    try:
        return {"returned": await asyncio.wait_for(call, TIMEOUT_S)}
    except Exception as error:  # noqa: BLE001 whatever hfc raises is the observation
        return {"raised": type(error).__name__, "text": str(error)}


def connected(asked: dict[str, Any]) -> Session:
    """A new client; its gRPC channels want the running loop."""
    client = Client(net_profile=asked["profile"])
    client.new_channel(asked["channel"])
    user = client.get_user(asked["organisation"], USER)
    return Session(client, user, asked["profile"], asked["channel"], asked["peers"])


async def answer(asked: dict[str, Any]) -> list[dict[str, Any]]:
    wanted = asked["arguments"]
    clients = [connected(asked) for _ in range(1 if asked["shared"] else len(wanted))]
    call = CALLS[asked["call"]]
    sessions = clients * (len(wanted) // len(clients))
    calls = [outcome(call(session, **given)) for session, given in zip(sessions, wanted, strict=True)]
    outcomes = await asyncio.gather(*calls)
    for session in clients:
        await session.client.close_grpc_channels()
    return outcomes


if __name__ == "__main__":
    request = json.load(sys.stdin)
    logging.basicConfig(level=logging.DEBUG if request["debug"] else logging.WARNING)
    json.dump(asyncio.run(answer(request)), sys.stdout)
