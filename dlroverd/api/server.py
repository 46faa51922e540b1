"""One gRPC server with both services."""

from collections.abc import Callable, Sequence

import grpc.aio

from dlroverd.api.agent_service import AgentService
from dlroverd.api.control_service import ControlService
from dlroverd.api.refusals import Refusals
from dlroverd.protocol.channel import listen, new_server
from dlroverd.protocol.messages import DaemonInfo
from dlroverd.protocol.v1.agent_service_pb2_grpc import add_AgentServiceServicer_to_server
from dlroverd.protocol.v1.control_service_pb2_grpc import add_ControlServiceServicer_to_server
from dlroverd.runtime.runtime import Runtime


def build(runtime: Runtime, addresses: Sequence[str], info: Callable[[], DaemonInfo], actor: str) -> grpc.aio.Server:
    """Make a server that listens at `addresses` once it is started; AddressError if one cannot be bound."""
    server = new_server(Refusals())
    add_ControlServiceServicer_to_server(ControlService(runtime, info, actor), server)
    add_AgentServiceServicer_to_server(AgentService(runtime), server)
    for address in addresses:
        listen(server, address)
    return server
