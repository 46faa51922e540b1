"""Which nodes a command means: names, ranges, labels, all; and what is asked before many are touched."""

import click
import pytest

from dlroverd.cli import holding
from dlroverd.cli.endings import CommandError
from dlroverd.model.view import NodeView


def node(name: str, **labels: str) -> NodeView:
    return NodeView(
        id=name,
        state="ready",
        reason="",
        since=0.0,
        address=name,
        slots=1,
        free=1,
        devices=0,
        agent_version="",
        labels=labels,
    )


FLEET = [node("n1", gpu="h100"), node("n2", gpu="h100", ssd=""), node("n10", gpu="a100")]


@pytest.mark.parametrize(
    ("names", "where", "all_", "meant"),
    [
        (("n1",), (), False, ["n1"]),
        (("n[1-2]", "n1"), (), False, ["n1", "n2"]),
        (("n10,n1",), (), False, ["n10", "n1"]),
        ((), (), True, ["n1", "n2", "n10"]),
        ((), ("gpu=h100",), False, ["n1", "n2"]),
        (("n[1-2]",), ("!ssd",), False, ["n1"]),
        ((), ("gpu=h100", "ssd"), True, ["n2"]),
        ((), ("gpu=b200",), False, []),
    ],
)
def test_nodes_are_meant(names: tuple[str, ...], where: tuple[str, ...], all_: bool, meant: list[str]) -> None:
    assert [each.id for each in holding.choose(FLEET, names, where, all_=all_)] == meant


@pytest.mark.parametrize(
    ("names", "where", "says"),
    [
        ((), (), "Name the nodes"),
        (("n[2-1]",), (), "runs backwards"),
        (("n1",), ("=",), "is no constraint"),
    ],
)
def test_what_means_nothing_is_usage(names: tuple[str, ...], where: tuple[str, ...], says: str) -> None:
    with pytest.raises(click.UsageError, match=says):
        holding.choose(FLEET, names, where, all_=False)


def test_a_node_that_is_not_there_is_named() -> None:
    with pytest.raises(CommandError, match="There is no node n3, n4; see"):
        holding.choose(FLEET, ("n[1-4]",), (), all_=False)


def test_who_is_at_the_keyboard_is_known_behind_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ann")
    assert holding.me() == "ann"
    monkeypatch.delenv("SUDO_USER")
    monkeypatch.setenv("LOGNAME", "bob")
    assert holding.me() == "bob"
