"""The gRPC servers: one for this host with both services, one for the network with that of the agents alone."""

from collections.abc import Callable, Sequence

import grpc.aio

from dlroverd.api.agent_service import AgentService
from dlroverd.api.authorisation import LocalCallers
from dlroverd.api.control_service import ControlService
from dlroverd.api.refusals import Refusals
from dlroverd.protocol.channel import TlsFiles, is_tcp, listen, new_server
from dlroverd.protocol.messages import DaemonInfo
from dlroverd.protocol.v1.agent_service_pb2_grpc import add_AgentServiceServicer_to_server
from dlroverd.protocol.v1.control_service_pb2_grpc import add_ControlServiceServicer_to_server
from dlroverd.runtime.runtime import Runtime


def build(
    runtime: Runtime,
    addresses: Sequence[str],
    tls: TlsFiles | None,
    info: Callable[[], DaemonInfo],
    callers: LocalCallers,
) -> list[grpc.aio.Server]:
    """Make the servers that listen at `addresses` once they are started; `callers` lets in those on this host.

    A certificate makes its holder an agent and nothing more: over TCP there is no ControlService.

    Raises:
        AddressError: an address cannot be bound, or is TCP and there are no usable certificates.
    """
    agents = AgentService(runtime)
    local, network = new_server(Refusals(), callers), new_server(Refusals())
    add_ControlServiceServicer_to_server(ControlService(runtime, info), local)
    for server in (local, network):
        add_AgentServiceServicer_to_server(agents, server)
    for address in addresses:
        listen(network if is_tcp(address) else local, address, tls)
    return [local, network]
