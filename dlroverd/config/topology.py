"""The topology file: which nodes are in which rack, behind which switch, in which NVLink domain, and so on.

pack_by: [nvlink, switch, rack]
nodes:
  n[001-008]: {rack: r1, switch: s1, nvlink: d1}
  n[001-064]: {pdu: p1, home: nfs1}
"""

import re
from typing import Annotated

from pydantic import AfterValidator

from dlroverd.config.document import ConfigError, Document
from dlroverd.config.durations import shown
from dlroverd.config.hostlist import expand
from dlroverd.config.schema import Section, setting
from dlroverd.config.validation import nearest, validate
from dlroverd.config.yaml_source import read_file
from dlroverd.model.input import TopologySet
from dlroverd.model.node import NodeDomains


def _kind(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", value):
        raise ValueError(
            f"a kind of domain is 1 to 32 of a-z, 0-9, '-' and '_', a letter first, such as rack, unlike {shown(value)}"
        )
    return value


def _domain(value: str) -> str:
    if not re.fullmatch(r"[!-~]{1,64}", value):
        raise ValueError(f"a domain's name is 1 to 64 characters without spaces, such as r1, unlike {shown(value)}")
    return value


Kind = Annotated[str, AfterValidator(_kind)]
Domain = Annotated[str, AfterValidator(_domain)]


class TopologyFile(Section):
    """The whole file."""

    pack_by: list[Kind] = setting(
        [], "the kinds of domains by which gangs are packed, narrow ones first", example="[nvlink, switch, rack]"
    )
    nodes: dict[str, dict[Kind, Domain]] = setting(
        {}, "nodes, with ranges, and the domains they are in by kind", example="{'n[001-016]': {rack: r1}}"
    )


def load_topology(path: str | None) -> TopologySet:
    """Read a topology file; without one, no node is in any domain. ConfigError with a sentence for each mistake."""
    if path is None:
        return TopologySet()
    return topology(read_file(path))


def topology(document: Document) -> TopologySet:
    """Take the inventory from a topology file's document; ConfigError with a sentence for each mistake."""
    file = validate(document, TopologyFile)
    # By node and kind: the domain, and the words of the file that said so.
    known: dict[tuple[str, str], tuple[str, str]] = {}
    mistakes: list[str] = []
    for text, given in file.nodes.items():
        try:
            names = expand(text)
        except ValueError as error:
            mistakes.append(document.sentence(("nodes", text), str(error)))
            continue
        for kind, domain in given.items():
            before = [(node, *known.setdefault((node, kind), (domain, text))) for node in names]
            other = next((each for each in before if each[1] != domain), None)
            if other:
                node, first, words = other
                mistake = f"node {node} is in {kind} {first} by {shown(words)}, so it cannot be in {domain}; keep one"
                mistakes.append(document.sentence(("nodes", text, kind), mistake))
    mistakes += _pack_mistakes(document, file, {kind for _, kind in known})
    if mistakes:
        raise ConfigError(mistakes)
    own: dict[str, list[tuple[str, str]]] = {}
    for (node, kind), (domain, _) in sorted(known.items()):
        own.setdefault(node, []).append((kind, domain))
    nodes = tuple(NodeDomains(node=node, domains=tuple(domains)) for node, domains in own.items())
    return TopologySet(pack_by=tuple(file.pack_by), nodes=nodes)


def _pack_mistakes(document: Document, file: TopologyFile, kinds: set[str]) -> list[str]:
    mistakes = []
    for at, kind in enumerate(file.pack_by):
        if kind in file.pack_by[:at]:
            mistakes.append(document.sentence(("pack_by", at), f"{kind} is there twice; keep one"))
        elif kind not in kinds:
            close = nearest(kind, sorted(kinds))
            hint = f"did you mean {close}?" if close else "name one that nodes have, or drop it"
            mistakes.append(document.sentence(("pack_by", at), f"no node is in a {kind}; {hint}"))
    return mistakes
