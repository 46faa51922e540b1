"""Which versions of the protocol this release speaks. Each end refuses what is too old for it; the newer one knows."""

from dlroverd.protocol.errors import CallError, Reason

PROTOCOL_VERSION = 2
OLDEST_SUPPORTED = 1


def agree(peer_version: int, *, peer: str) -> int:
    """Give the newest version that both speak; CallError(WRONG_VERSION) if `peer` speaks only older ones than we do.

    `peer` is the program at the other end, "dlroverd-agent" or "dlroverd". A newer one is not refused here: only
    it can know whether it still speaks ours, and refuses us otherwise.
    """
    if peer_version < OLDEST_SUPPORTED:
        sentence = f"{peer} speaks protocol {peer_version}; {OLDEST_SUPPORTED} or newer is needed here: upgrade {peer}."
        raise CallError(Reason.WRONG_VERSION, sentence)
    return min(peer_version, PROTOCOL_VERSION)
