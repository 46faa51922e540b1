"""What is usual for a figure among like nodes, and what stands out. Pure arithmetic over the last figures of the fleet.

A figure stands out if it lies more than 3.5 robust standard deviations from the median of the others (Iglewicz and
Hoaglin, How to Detect and Handle Outliers, 1993: their modified z-score, and the 3.5). The deviation is 1.4826 times
the median distance from the median, which is that of a normal distribution and which a minority of bad nodes cannot
move; it counts as at least a twentieth of the median, since like hosts may agree to a hair.
"""

from statistics import median

from dlroverd.model.checkup import Figure
from dlroverd.model.node import NodeFacts

Norms = tuple[tuple[str, float], ...]

# So many figures are kept, one a node: a median over more says no more.
KEPT = 64
# Of fewer others it cannot be told what is usual.
LEAST_OTHERS = 5
_STANDS_OUT, _NORMAL, _LEAST_SPREAD = 3.5, 1.4826, 0.05


def likeness(facts: NodeFacts) -> str:
    """Say what a node has in common with like ones: its accelerators, or its CPUs."""
    models = sorted(device.model for device in facts.devices)
    return f"{len(models)} {', '.join(dict.fromkeys(models))}" if models else f"{facts.cpus} CPUs"


def learnt(norms: Norms, node: str, value: float) -> Norms:
    """Give the last figures with a node's newest in place of its older one."""
    return (*(each for each in norms if each[0] != node), (node, value))[-KEPT:]


def standing_out(norms: Norms, node: str, figure: Figure) -> str:
    """Say how a node's figure stands out for the worse among those of the others; "" if it does not."""
    others = [value for name, value in norms if name != node]
    if not figure.worse or len(others) < LEAST_OTHERS:
        return ""
    usual = median(others)
    spread = max(_NORMAL * median(abs(value - usual) for value in others), _LEAST_SPREAD * abs(usual))
    beyond = figure.value - usual if figure.worse == "more" else usual - figure.value
    if not spread or beyond / spread <= _STANDS_OUT:
        return ""
    return f"{figure.name} is {figure.value:.4g}, where {usual:.4g} is usual among {len(others)} like nodes"
