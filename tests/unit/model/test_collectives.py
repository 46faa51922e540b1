"""Who is missing in a collective, by how far each rank says it is. Numbers are those of torch's flight recorder."""

from dataclasses import replace

import pytest

from dlroverd.model.collectives import missing
from dlroverd.model.ids import RankKey
from dlroverd.model.stacks import Frame, GroupPosition, ProcessStack, RankStack, ThreadStack

WORLD = ("0", "default_pg")


def position(
    begun: int, *, open_: bool = True, of: str = "Float[4]", call: str = "all_reduce", group: tuple[str, str] = WORLD
) -> GroupPosition:
    open_number = begun if open_ else 0
    return GroupPosition(
        group=group[0], backend="gloo", about=group[1], begun=begun, open=open_number, call=call, of=of
    )


def told(*of: tuple[GroupPosition, ...]) -> list[RankStack]:
    """Give ranks 0, 1 ... that said so."""
    return [
        RankStack(key=RankKey(1, "trainer", 0, 1, rank), node=f"n{rank}", positions=positions)
        for rank, positions in enumerate(of)
    ]


AT = (position(8),)
BEFORE = (position(7, open_=False),)
ANOTHER = "is in another collective than the others: ranks 0-1 wait in "
APART = "ranks wait for each other in different collectives: "
HEAD = "collective 8 of group 0, all_reduce of Float[4]"


@pytest.mark.parametrize(
    ("ranks", "who", "sentence"),
    [
        ((AT, AT, BEFORE, AT), [2], f"has not begun {HEAD}, in which ranks 0-1, 3 wait"),
        ((AT, BEFORE), [1], f"has not begun {HEAD}, in which rank 0 waits"),
        # It begins to train only now, in a group of which it has said nothing yet.
        ((AT, AT, (position(1, open_=False, group=("3", "tp")),)), [2], f"has not begun {HEAD}"),
        # Of those who are ahead, as with devices, the first collective that has not ended counts.
        (((GroupPosition(group="0", begun=20, open=8, call="all_reduce", of="Float[4]"),), (
            GroupPosition(group="0", begun=7),)), [1], "has not begun collective 8 of group 0"),
        # Another kind of collective under one number, and another size.
        ((AT, AT, (position(8, call="broadcast"),)), [2], ANOTHER + HEAD),
        ((AT, AT, (position(8, of="Float[9]"),)), [2], ANOTHER + HEAD),
        # It went past the one that the others are in.
        (
            (AT, AT, (*BEFORE, position(1, group=("1", "undefined")))),
            [2],
            f"waits in collective 1 of group 1, all_reduce of Float[4], while ranks 0-1 wait in {HEAD}",
        ),
        ((AT, AT), [], f"all of them have begun {HEAD}"),
        # Of two nobody knows who is wrong.
        (
            (AT, (*BEFORE, position(1, group=("1", "undefined")))),
            [],
            f"{APART}rank 0 waits in {HEAD}; rank 1 waits in collective 1 of group 1, all_reduce of Float[4]",
        ),
        (
            (AT, (position(8, call="broadcast"),)),
            [],
            f"{APART}rank 0 waits in {HEAD}; rank 1 waits in collective 8 of group 0, broadcast of Float[4]",
        ),
        # Each pair waits in a group of its own, as it should.
        (
            ((position(3, group=("a", "")),), (position(3, group=("a", "")),), (position(5, group=("b", "")),)),
            [],
            "all of them have begun collective 3 of group a",
        ),
    ],
)  # fmt: skip
def test_who_is_missing_is_named(ranks: tuple[tuple[GroupPosition, ...], ...], who: list[int], sentence: str) -> None:
    found = missing(told(*ranks))
    assert found is not None
    assert [key.rank for key in found.ranks] == who
    assert sentence in found.sentence


def test_who_waits_for_another_is_not_blamed_for_keeping_others_waiting() -> None:
    """Ranks 0 and 1 share their tensors, as do 2 and 3; the parts of the model are summed over 0 and 2, and 1 and 3."""

    def rank(tensors: GroupPosition, parts: GroupPosition) -> tuple[GroupPosition, ...]:
        return tensors, parts

    even, odd = ("dp0", "dp"), ("dp1", "dp")
    left, right = ("tp0", "tp"), ("tp1", "tp")
    found = missing(
        told(
            rank(position(5, open_=False, group=left), position(3, group=even)),
            rank(position(5, open_=False, group=left), position(3, group=odd)),
            rank(position(5, group=right), position(2, open_=False, group=even)),
            rank(position(4, open_=False, group=right), position(2, open_=False, group=odd)),
        )
    )
    assert found is not None
    assert [key.rank for key in found.ranks] == [3]


@pytest.mark.parametrize(
    "ranks",
    [
        ((), ()),
        (BEFORE, BEFORE),
        # One says nothing: it may be that one.
        (AT, AT, ()),
        (AT, (*BEFORE, position(1, group=("1", ""))), ()),
        # Half of them are at one place, half at the other.
        (AT, (position(8, call="broadcast"),)),
        # Tensors of different sizes are as they should be here.
        ((position(8, call="all_gather"),), (position(8, call="all_gather", of="Float[9]"),), ()),
    ],
)
def test_nobody_is_missing_where_that_cannot_be_told(ranks: tuple[tuple[GroupPosition, ...], ...]) -> None:
    found = missing(told(*ranks))
    assert found is None or not found.ranks


@pytest.mark.parametrize(
    ("function", "file", "named"),
    [
        ("recv", "torch/distributed/distributed_c10d.py", []),
        ("step", "torch/distributed/pipelining/schedules.py", []),
        ("recv", "data.py", [2]),
    ],
)
def test_nobody_is_named_where_ranks_wait_for_single_others(function: str, file: str, named: list[int]) -> None:
    thread = ThreadStack(tid=1, frames=(Frame(function=function, file=file, line=3),))
    stacks = told(AT, AT, BEFORE)
    stacks[2] = replace(stacks[2], processes=(ProcessStack(pid=1, state="S", threads=(thread,)),))
    found = missing(stacks)
    assert [key.rank for key in found.ranks] == named if found else not named


def test_one_of_whom_nothing_is_known_is_no_reason_to_accuse_another() -> None:
    assert missing(told(AT, (*BEFORE, position(1, group=("1", ""))), ())) is None
