"""The code that the ranks of one role would run on one node, and how that of two nodes differs."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

MOST_DIFFERENCES = 10
_DIGEST_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What a rank would run; every field is explained in peer_service.proto."""

    program: str
    version: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    script: str = ""
    sha256: str = ""


def differences(here: Code, there: Code, node: str) -> str:
    """Say in one line how the code here differs from that on `node`; "" if it does not. The most telling come first."""
    found = list(islice(_differences(here, there, node), MOST_DIFFERENCES + 1))
    more = sum(1 for _ in _differences(here, there, node)) - MOST_DIFFERENCES
    return "; ".join(found[:MOST_DIFFERENCES]) + (f"; and {more} more" if more > 0 else "")


def _differences(here: Code, there: Code, node: str) -> Iterator[str]:
    if here.version != there.version:
        yield f"{here.program} is version {here.version or 'unknown'} here, {there.version or 'unknown'} on {node}"
    if here.script != there.script:
        yield f"the script is {here.script or 'not found'} here, {there.script or 'not found'} on {node}"
    elif here.sha256 != there.sha256:
        shown = f"{here.sha256[:_DIGEST_SHOWN] or 'unknown'} here, {there.sha256[:_DIGEST_SHOWN] or 'unknown'}"
        yield f"{here.script} differs: sha256 {shown} on {node}"
    for name in sorted(here.packages.keys() | there.packages.keys()):
        mine, other = here.packages.get(name), there.packages.get(name)
        if mine is None:
            yield f"{name} is absent here, {other or 'installed'} on {node}"
        elif other is None:
            yield f"{name} is {mine or 'installed'} here, absent on {node}"
        elif mine != other:
            yield f"{name} {mine or 'of an unknown version'} here, {other or 'an unknown one'} on {node}"
