"""The gRPC servers: one for this host, one for hosts on the network, one for those that have no certificate yet."""

from collections.abc import Callable
from dataclasses import dataclass

import grpc.aio

from dlroverd.api.agent_service import AgentService
from dlroverd.api.authorisation import LocalCallers
from dlroverd.api.control_service import ControlService
from dlroverd.api.join_service import JoinService
from dlroverd.api.refusals import Refusals
from dlroverd.api.trust_service import TrustService
from dlroverd.api.vouched import NetworkCallers
from dlroverd.config.daemon import DaemonConfig
from dlroverd.protocol.channel import is_tcp, listen, new_server
from dlroverd.protocol.messages import DaemonInfo
from dlroverd.protocol.v1.agent_service_pb2_grpc import add_AgentServiceServicer_to_server
from dlroverd.protocol.v1.control_service_pb2_grpc import add_ControlServiceServicer_to_server
from dlroverd.protocol.v1.trust_service_pb2_grpc import (
    add_JoinServiceServicer_to_server,
    add_TrustServiceServicer_to_server,
)
from dlroverd.runtime.runtime import Runtime
from dlroverd.trust.authority import Authority

# Each takes a signature and a turn of the core; more than so many at once wait for their turn.
_MOST_JOINING = 256


@dataclass(frozen=True, slots=True)
class Doors:
    """Who is let in where: `callers` sees who calls on this host, `network` who calls by a login host's certificate.

    `authority` issues certificates, if there is one.
    """

    callers: LocalCallers
    network: NetworkCallers
    authority: Authority | None


def build(
    runtime: Runtime, config: DaemonConfig, info: Callable[[], DaemonInfo], doors: Doors
) -> list[grpc.aio.Server]:
    """Make the servers that listen once they are started.

    A certificate makes its holder an agent and nothing more, or a login host, which calls for its users.

    Raises:
        AddressError: an address cannot be bound, or is TCP and there are no usable certificates.
    """
    tls = config.tls.files() if config.tls else None
    agents = AgentService(runtime)
    joining = JoinService(runtime, doors.authority, config.trust, [each for each in config.listen if is_tcp(each)])
    local, network = new_server(Refusals(), doors.callers), new_server(Refusals(), doors.network)
    add_TrustServiceServicer_to_server(TrustService(runtime, doors.authority, config.join_address), local)
    add_JoinServiceServicer_to_server(joining, network)
    control = ControlService(runtime, info)
    for server in (local, network):
        add_ControlServiceServicer_to_server(control, server)
        add_AgentServiceServicer_to_server(agents, server)
    for address in config.listen:
        listen(network if is_tcp(address) else local, address, tls)
    servers = [local, network]
    if config.join_address:
        entrance = new_server(Refusals(), most_calls=_MOST_JOINING)
        add_JoinServiceServicer_to_server(joining, entrance)
        listen(entrance, config.join_address, tls, callers_show_certificates=False)
        servers.append(entrance)
    return servers
