"""Who was heard when, on the monotonic clock. Pure: the time comes in."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

# A watch that comes round this late was itself asleep; what the nodes said meanwhile is still to be read.
_STALL_S = 1.0


class Watch:
    """Nodes by when they were last heard, longest ago first."""

    def __init__(self, nodes: Iterable[str], now_s: float, limit_s: float, silent: Iterable[str] = ()) -> None:
        """Give every node that counts as reachable a full limit from now: this daemon could not hear them before.

        The silence of those that are known as `silent` is counted anew, too.
        """
        self._limit_s = limit_s
        self._heard_at_s: OrderedDict[str, float] = OrderedDict.fromkeys(sorted(nodes), now_s)
        self._away_until_s: dict[str, float] = {}
        self._silent_since_s: dict[str, float] = dict.fromkeys(silent, now_s)
        self._looked_at_s = now_s

    def heard(self, node: str, now_s: float) -> None:
        """Note a sign of life, of a node known or new."""
        self._away_until_s.pop(node, None)
        self._silent_since_s.pop(node, None)
        self._heard_at_s[node] = now_s
        self._heard_at_s.move_to_end(node)

    def away(self, node: str, until_s: float) -> None:
        """Have a node's silence not count before a time, unless the limit ends later."""
        if (heard_at_s := self._heard_at_s.pop(node, None)) is not None:
            self._away_until_s[node] = max(until_s, heard_at_s + self._limit_s)

    def back_within(self, node: str, now_s: float) -> float:
        """Give for how many seconds more an absence that was announced does not count; 0 without one."""
        return max(0.0, self._away_until_s.get(node, now_s) - now_s)

    def silent(self, now_s: float, planned_s: float) -> list[str]:
        """Give those silent for the limit, each once until it is heard again; `planned_s` since the last look.

        A stall of this process is not the nodes' silence: then everyone gets a full limit anew.
        """
        stalled = now_s - self._looked_at_s > planned_s + _STALL_S
        self._looked_at_s = now_s
        if stalled:
            self._heard_at_s = OrderedDict.fromkeys(self._heard_at_s, now_s)
            full_s = now_s + self._limit_s
            self._away_until_s = {node: max(until_s, full_s) for node, until_s in self._away_until_s.items()}
            self._silent_since_s = dict.fromkeys(self._silent_since_s, now_s)
        found = [node for node, until_s in self._away_until_s.items() if now_s >= until_s]
        for node in found:
            del self._away_until_s[node]
            self._silent_since_s[node] = now_s
        while self._heard_at_s:
            node, heard_at_s = next(iter(self._heard_at_s.items()))
            if now_s - heard_at_s < self._limit_s:
                break
            del self._heard_at_s[node]
            self._silent_since_s[node] = heard_at_s
            found.append(node)
        return found

    def silences(self, now_s: float) -> Iterator[tuple[str, float]]:
        """Give those that were silent for the limit and were not heard since, and for how long each is, at least."""
        for node, since_s in self._silent_since_s.items():
            yield node, now_s - since_s
