"""The topology file: ranges written out, domains merged, and one sentence with its line for each mistake."""

# ruff: noqa: E501 (whole sentences are asserted, one case a line)

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.config.document import ConfigError
from dlroverd.config.hostlist import MAX_NAMES, expand
from dlroverd.config.topology import load_topology, topology
from dlroverd.config.yaml_source import parse
from dlroverd.model.input import TopologySet
from dlroverd.model.node import NodeDomains


def read(text: str) -> TopologySet:
    return topology(parse(text.encode(), "t.yaml"))


def test_a_file_is_read() -> None:
    assert read(
        "pack_by: [switch, rack]\n"
        "nodes:\n"
        "  n[08-10]: {rack: r1, switch: s1}\n"
        "  n11: {rack: r1, switch: s2}\n"
        "  n[10-11]: {pdu: p1, rack: r1}\n"
    ) == TopologySet(
        pack_by=("switch", "rack"),
        nodes=(
            NodeDomains(node="n08", domains=(("rack", "r1"), ("switch", "s1"))),
            NodeDomains(node="n09", domains=(("rack", "r1"), ("switch", "s1"))),
            NodeDomains(node="n10", domains=(("pdu", "p1"), ("rack", "r1"), ("switch", "s1"))),
            NodeDomains(node="n11", domains=(("pdu", "p1"), ("rack", "r1"), ("switch", "s2"))),
        ),
    )
    assert read("") == TopologySet()
    assert load_topology(None) == TopologySet()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nodes:\n  n[1-3]: {rack: r1}\n  n3: {rack: r2}\n", "t.yaml:3:8: nodes.n3.rack: node n3 is in rack r1 by 'n[1-3]', so it cannot be in r2; keep one"),
        ("pack_by: [swich]\nnodes:\n  n1: {switch: s1}\n", "t.yaml:1:11: pack_by.0: no node is in a swich; did you mean switch?"),
        ("pack_by: [bench]\nnodes:\n  n1: {rack: r1}\n", "t.yaml:1:11: pack_by.0: no node is in a bench; name one that nodes have, or drop it"),
        ("pack_by: [rack, rack]\nnodes:\n  n1: {rack: r1}\n", "t.yaml:1:17: pack_by.1: rack is there twice; keep one"),
        ("nodes:\n  n[1-: {rack: r1}\n", "t.yaml:2:3: nodes.n[1-: must be names of nodes, such as n1 or n[001-016,020] or n1,n2, not 'n[1-'"),
        ("nodes:\n  n[5-3]: {rack: r1}\n", "t.yaml:2:3: nodes.n[5-3]: the range 5-3 runs backwards; write 3-5"),
        ("nodes:\n  n[0-999999]: {rack: r1}\n", "t.yaml:2:3: nodes.n[0-999999]: the range 0-999999 is more than 100000 nodes; shorten it"),
        ("nodes:\n  n1: {Rack: r1}\n", "t.yaml:2:8: nodes.n1.Rack: a kind of domain is 1 to 32 of a-z, 0-9, '-' and '_', a letter first, such as rack, unlike 'Rack'"),
        ("nodes:\n  n1: {rack: r 1}\n", "t.yaml:2:8: nodes.n1.rack: a domain's name is 1 to 64 characters without spaces, such as r1, unlike 'r 1'"),
        ("nodes:\n  n1: r1\n", "t.yaml:2:3: nodes.n1: must be a mapping of `key: value` lines, not 'r1'"),
        ("nodes:\n  n1: {rack: r1}\n  n1: {pdu: p1}\n", "t.yaml:3:3: n1 is set twice (first on line 2); keep one"),
        ("racks: {}\n", "t.yaml:1:1: racks: unknown key; known are pack_by, nodes"),
    ],
)  # fmt: skip
def test_a_wrong_file_gets_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value) == sentence


def test_every_mistake_is_said_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read("pack_by: [rak]\nnodes:\n  n[2-1]: {rack: r1}\n  n1: {rack: r1}\n  n[1]: {rack: r2}\n")
    assert len(caught.value.sentences) == 3


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gpu00", ["gpu00"]),
        ("n[001-003,7]", ["n001", "n002", "n003", "n7"]),
        ("n[9-11]", ["n9", "n10", "n11"]),
        ("r[1-2]n[1-2].lab", ["r1n1.lab", "r1n2.lab", "r2n1.lab", "r2n2.lab"]),
        ("b,a[2,1]", ["b", "a2", "a1"]),
    ],
)
def test_a_list_of_hosts_is_written_out(text: str, names: list[str]) -> None:
    assert expand(text) == names


@pytest.mark.parametrize("text", ["", ",", "a,,b", "n[]", "n[1", "n1]", "n[1-2-3]", "n[[1]]", "a b", "n[a-c]", "n[-3]"])
def test_what_is_no_list_of_hosts_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be names of nodes"):
        expand(text)


def test_a_list_of_hosts_is_bounded() -> None:
    assert len(expand(f"n[1-{MAX_NAMES}]")) == MAX_NAMES
    with pytest.raises(ValueError, match=re.escape("'r[1-999]n[1-999]' is more than 100000 nodes; shorten its ranges")):
        expand("r[1-999]n[1-999]")


@given(st.text(max_size=30))
def test_any_text_is_names_or_is_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in expand(text))
