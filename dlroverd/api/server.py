"""The gRPC servers: one for this host, one for the network, where a certificate says who calls and what it may."""

from collections.abc import Callable, Sequence

import grpc.aio

from dlroverd.api.agent_service import AgentService
from dlroverd.api.authorisation import LocalCallers
from dlroverd.api.control_service import ControlService
from dlroverd.api.refusals import Refusals
from dlroverd.api.vouched import NetworkCallers
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
    *,
    callers: LocalCallers,
    network_callers: NetworkCallers,
) -> list[grpc.aio.Server]:
    """Make the servers that listen at `addresses` once they are started; `callers` lets in those on this host.

    A certificate makes its holder an agent and nothing more, or a login host, which calls for its users.

    Raises:
        AddressError: an address cannot be bound, or is TCP and there are no usable certificates.
    """
    agents = AgentService(runtime)
    local, network = new_server(Refusals(), callers), new_server(Refusals(), network_callers)
    control = ControlService(runtime, info)
    for server in (local, network):
        add_ControlServiceServicer_to_server(control, server)
        add_AgentServiceServicer_to_server(agents, server)
    for address in addresses:
        listen(network if is_tcp(address) else local, address, tls)
    return [local, network]
