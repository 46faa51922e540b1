"""What the checks of nodes found, as tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlroverd.cli import output

if TYPE_CHECKING:
    from dlroverd.model.view import NodeDetail

_FIRST = ("bad", "unknown", "ok")


def results(details: "Sequence[NodeDetail]") -> None:
    """Show what each check of nodes found when it was last made, the worst first."""
    found = [(detail.node.id, each) for detail in details for each in detail.checks]
    rows = [
        [node, each.check, each.state.value, output.clock(each.at), f"{each.took_s:.1f} s", each.sentence]
        for node, each in sorted(found, key=lambda pair: _FIRST.index(pair[1].state.value))
    ]
    output.table(["NODE", "CHECK", "STATE", "TIME", "TOOK", "FOUND"], rows)


def runs(detail: "NodeDetail") -> None:
    """Show the last checkups of a node, the newest first."""
    rows = [
        [
            output.clock(each.at),
            each.level,
            f"{each.cause} ({each.actor})" if each.cause == "asked" else each.cause,
            each.state or "-",
            each.sentence,
        ]
        for each in reversed(detail.checkups)
    ]
    output.table(["CHECKED", "LEVEL", "WHY", "STATE", "CAME TO"], rows)
