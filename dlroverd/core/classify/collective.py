"""What collective libraries and the rendezvous store say: a network that failed, or a peer that is gone.

gloo's and the store's texts are as recorded from torch 2.13 (tests/recordings/); NCCL's are from its source and from
reports in public.
"""

import signal

from dlroverd.core.classify.rule import Rule, said
from dlroverd.model.fault import CauseKind

# What torch raises of these. A ConnectionRefusedError or an OSError is about a socket of the script's own.
_TORCH = frozenset({"", "RuntimeError", "Error", "DistError", "DistBackendError", "DistNetworkError", "DistStoreError"})
_GONE = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "connectFullMesh",
    "Socket closed",
    "failed to connect to*store",
    "DistNetworkError",
    "DistStoreError",
    "ncclRemoteError",
    "ncclInternalError",
    "NCCL communicator was aborted",
    "remote process exited",
    "Connection refused",
    "Timed out waiting*ms for recv",
    "Application timeout caused pair closure",
)
_WATCHDOG = "Watchdog caught collective operation timeout"

COLLECTIVES = (
    Rule(
        name="torch.port_taken",
        kind=CauseKind.PORT_TAKEN,
        says="found its MASTER_PORT taken",
        types=_TORCH,
        said=said("EADDRINUSE", "address already in use"),
        reported=True,
    ),
    Rule(
        name="net.infiniband",
        kind=CauseKind.NETWORK,
        says="lost packets or a link of the InfiniBand or RoCE network ({line})",
        remedy="check links and counters of both hosts (`ibstat`, `perfquery`); its peer may also just have ended",
        said=said("NET/IB*Got completion", "NET/IB*Got async event", "ibv_* failed", "IBV_EVENT_"),
    ),
    Rule(
        name="nccl.system",
        kind=CauseKind.NETWORK,
        says="had a system call of NCCL's fail ({line})",
        remedy="NCCL_DEBUG=WARN says which; a network interface, a firewall or shared memory most often",
        said=said("ncclSystemError", "unhandled system error"),
    ),
    Rule(
        name="net.unreachable",
        kind=CauseKind.NETWORK,
        says="could not reach its peers ({line})",
        remedy="check interface, routes and firewall of that node",
        types=_TORCH,
        said=said("No route to host", "Network is unreachable", "Network is down", "Name or service not known"),
        reported=True,
    ),
    Rule(
        name="peer.silent",
        kind=CauseKind.PEER_LOST,
        says="waited in vain for its peers in a collective ({line})",
        remedy="one of them hangs, is slow or left; see their output",
        said=said(_WATCHDOG),
    ),
    Rule(name="peer.lost", kind=CauseKind.PEER_LOST, says="{error}", types=_TORCH, said=said(*_GONE), reported=True),
    # Raised from what gloo or the store raised, by a framework or the user's own code.
    Rule(
        name="peer.lost_wrapped",
        kind=CauseKind.PEER_LOST,
        says="{error}",
        said=said(
            "gloo/transport/*Connection closed by peer",
            "gloo/transport/*Connection reset by peer",
            "torch.distributed.DistNetworkError: ",
            "torch.distributed.DistStoreError: ",
            "torch.distributed.DistBackendError: *remote process exited",
        ),
        reported=True,
    ),
    Rule(
        name="peer.lost_abort",
        kind=CauseKind.PEER_LOST,
        says="aborted, having lost a peer ({line})",
        said=said(*_GONE),
        signals=frozenset({signal.SIGABRT}),
        reported=False,
    ),
)
