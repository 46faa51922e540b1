"""The built-in rule for slow links: the host of a world that is far from all others, by the kernel's round trips.

A slow link holds up every rank in the same collective, so no rank looks slower than another (`straggler`). The kernel
times each connection that ranks have: `host_round_trip_seconds` is the lower median over the hosts that a host talks
to, so that it is long for the one with the slow link, to whom all are far, and not for those that talk to it. In one
network round trips of healthy hosts differ by little; under load all of them grow.
"""

import math
import statistics
from collections.abc import Callable

from dlroverd.plugin_api import Action, Conclusion, DiagnosisRule, Finding, Remedy, WorldView, hookimpl

DLROVERD_API = 1

METRIC = "host_round_trip_seconds"
# Of two, nobody knows whose link it is.
_LEAST_NODES = 3
# Five times as far as the others, and five milliseconds farther than no time at all: in one data centre it is a tenth
# of one, and a few under load. One that was named is let go at half of that.
_TIMES, _LEAST_S, _LET_GO = 5.0, 0.005, 0.5
# How sure it is, and of a host through whose link goes so many times as much as through the others': it may be full.
_SURE, _FULL, _MORE = 0.8, 0.5, 3.0
_TRAFFIC = ("host_network_transmit_bytes_per_second", "host_network_receive_bytes_per_second")


class SlowLinkRule:
    """Compares the hosts of a world with each other."""

    def observe(self, view: WorldView) -> tuple[Finding, ...]:
        """Find the hosts that are far from the rest."""
        told = _told(view, METRIC)
        if len(told) < _LEAST_NODES:
            return ()
        before = {each.node: each for each in view.standing}
        line = max(_TIMES * statistics.median(told.values()), _LEAST_S)
        far = [node for node, value in told.items() if value > line * (_LET_GO if node in before else 1.0)]
        if 2 * len(far) >= len(told):
            return ()  # then it is not known who is far from whom
        others = statistics.median(value for node, value in told.items() if node not in far)
        return tuple(
            Finding(
                kind="full" if full else "far",
                sentence=(
                    f"a packet from {node} to the other hosts of the job and back takes at least {_shown(told[node])}, "
                    f"between the others {_shown(others)}: its network link is {'full' if full else 'slow'}, and "
                    "every collective waits for it"
                ),
                value=told[node],
                node=node,
                since=before[node].since if node in before else view.now,
                evidence=(f"{full:.0f} times as much goes through it as through theirs",) if full else (),
            )
            for node in far
            for full in (_fuller(view, node, far),)
        )

    def conclude(self, findings: tuple[Finding, ...]) -> tuple[Conclusion, ...]:
        """Say so of each."""
        return tuple(
            Conclusion(
                kind="slow_link",
                sentence=each.sentence,
                confidence=_FULL if each.kind == "full" else _SURE,
                node=each.node,
                since=each.since,
                evidence=("it was so at both of the last two readings", *each.evidence),
            )
            for each in findings
        )

    def prescribe(self, conclusions: tuple[Conclusion, ...]) -> tuple[Action, ...]:
        """Have the job go on without a host whose link is not just full."""
        return tuple(
            Action(remedy=Remedy.REPLACE, kind=each.kind, node=each.node)
            for each in conclusions
            if each.confidence >= _SURE
        )


def _fuller(view: WorldView, node: str, far: list[str]) -> float:
    """Give how many times as much goes through a host's link as through those of others; 0 if it is no reason."""
    for metric in _TRAFFIC:
        told = _told(view, metric)
        others = [value for name, value in told.items() if name not in far]
        times = told[node] / statistics.median(others) if node in told and others else 0.0
        if times > _MORE:
            return times
    return 0.0


def _told(view: WorldView, metric: str) -> dict[str, float]:
    """Give what is known of a metric, by node, as far as it makes sense."""
    values = {each.node: each.readings[metric].value for each in view.nodes if metric in each.readings}
    return {node: value for node, value in values.items() if math.isfinite(value) and value > 0.0}


def _shown(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"


@hookimpl
def dlroverd_register_diagnosis(register: Callable[[DiagnosisRule], None]) -> None:
    """Hand over the rule."""
    register(SlowLinkRule())
