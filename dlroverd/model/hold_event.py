"""The facts of the log that are about holds."""

from dataclasses import dataclass

from dlroverd.model.hold import Hold, HoldKind


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHeld:
    """A node is out of use for `hold`, which takes the place of one of the same owner and kind."""

    node: str
    hold: Hold
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReleased:
    """An owner has let go of a node; `actor` is who said so."""

    node: str
    owner: str
    kind: HoldKind
    actor: str
    reason: str = ""
