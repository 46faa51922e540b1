"""Output on its way to the terminal: whole lines, nothing twice, gaps and failures said."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dlroverd.cli.following import asked_again, read_output
from dlroverd.cli.printing import Lines, Prefix, printer
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.view import LogChunk
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.messages import LogFailed


def chunk(data: bytes, *, rank: int = 0, offset: int = 0, gap: int = 0, eof: bool = False, role: str = "t") -> LogChunk:
    return LogChunk(role=role, gang=0, round=1, rank=rank, node="n1", offset=offset, data=data, gap_bytes=gap, eof=eof)


def test_lines_of_ranks_do_not_mix_and_the_last_needs_no_end() -> None:
    seen: list[tuple[int, bytes]] = []
    lines = Lines(lambda of, whole: seen.extend((of.rank, line) for line in whole))
    for piece in (
        chunk(b"a", rank=0),
        chunk(b"b\nc", rank=1),
        chunk(b"d\n\ne", rank=0),
        chunk(b"", rank=1, eof=True),
        chunk(b"\n", rank=0),
        chunk(b"", rank=0, eof=True),
    ):
        lines(piece)
    assert seen == [(1, b"b"), (0, b"ad"), (0, b""), (1, b"c"), (0, b"e")]


@pytest.mark.parametrize(
    ("shown", "prefix"),
    [
        ([("t", 0, 0)], b""),
        ([("t", 0, 0), ("t", 0, 1)], b"[rank1] "),
        ([("t", 0, 0), ("ps", 0, 0)], b"[t rank1] "),
        ([("t", 0, 0), ("t", 1, 0)], b"[gang0 rank1] "),
        ([("t", 0, 0), ("t", 1, 0), ("ps", 0, 0)], b"[t gang0 rank1] "),
    ],
)
def test_a_prefix_tells_what_is_needed(shown: list[tuple[str, int, int]], prefix: bytes) -> None:
    assert Prefix(shown)(chunk(b"", rank=1)) == prefix


def test_a_prefix_names_node_and_round_where_asked() -> None:
    both = [("t", 0, 0), ("t", 0, 1)]
    assert Prefix(both, with_node=True)(chunk(b"", rank=1)) == b"[n1 rank1] "
    assert Prefix(both[:1], with_node=True)(chunk(b"")) == b""
    assert Prefix(both[:1], with_round=True)(chunk(b"")) == b"[round1] "


def test_what_a_new_daemon_repeats_is_skipped(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    pieces = [
        chunk(b"one\ntw"),
        chunk(b"one\ntwo\nthr", offset=0),
        chunk(b"ee\n", offset=11, gap=0),
        chunk(b"ten\n", offset=50, gap=36),
        chunk(b"", offset=54, eof=True),
    ]
    assert read_output(1, lambda _: iter(pieces), printer(Prefix([("t", 0, 0)])), follow=False)
    assert capfdbinary.readouterr() == (b"one\ntwo\nthree\n[36 bytes not kept]\nten\n", b"")


def test_output_that_cannot_be_had_is_said_and_the_rest_goes_on(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    pieces: list[LogChunk | LogFailed] = [LogFailed(node="n2", sentence="Node n2 is not connected."), chunk(b"x\n")]
    assert not read_output(1, lambda _: iter(pieces), printer(Prefix([("t", 0, 0)])), follow=False)
    assert capfdbinary.readouterr() == (b"x\n", b"dlroverctl: Node n2 is not connected.\n")


def test_a_node_that_may_be_back_is_said_and_its_output_not_given_up(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    failed = LogFailed(node="n2", sentence="Node n2 is lost.", passing=True)
    pieces: list[LogChunk | LogFailed] = [failed, chunk(b"x\n")]
    assert read_output(1, lambda _: iter(pieces), printer(Prefix([("t", 0, 0)])), follow=True)
    assert capfdbinary.readouterr() == (b"x\n", b"dlroverctl: Node n2 is lost.\n")


def test_a_new_daemon_is_told_what_was_read(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Of a round that is over only what had not ended, of the newest all, so that none in between is left out."""
    asked: list[dict[RankKey, int]] = []

    def ask(known: dict[RankKey, int]) -> Iterator[LogChunk]:
        asked.append(known)
        if len(asked) == 1:
            yield chunk(b"a\n", rank=0, eof=True)
            yield chunk(b"b\n", rank=1)
            yield replace(chunk(b"c\n", rank=0, eof=True), round=2)
            raise CallError(Reason.UNAVAILABLE, "gone")
        yield chunk(b"B\n", rank=1, offset=2, eof=True)

    assert read_output(1, ask, printer(Prefix(())), follow=True)
    assert capfdbinary.readouterr().out == b"a\nb\nc\nB\n"
    gang = GangKey(1, "t", 0)
    assert asked == [{}, {gang.at(1).rank(1): 2, gang.at(2).rank(0): 2}]


def test_what_is_missing_ends_the_line_before_it() -> None:
    seen: list[bytes] = []
    lines = Lines(lambda _, whole: seen.extend(whole))
    lines(chunk(b"begun"))
    lines(chunk(b"end of one\n", offset=12 << 20, gap=(12 << 20) - 5))
    assert seen == [b"begun", b"[12.0 MiB not kept]", b"end of one"]


def test_a_daemon_that_went_away_is_asked_again_and_a_refusal_is_not() -> None:
    answers = iter([[1], [2, 3]])

    def call() -> Iterator[int]:
        answer = next(answers)
        yield from answer
        if answer == [1]:
            raise CallError(Reason.UNAVAILABLE, "gone")

    assert list(asked_again(call)) == [1, 2, 3]

    def refused() -> Iterator[int]:
        raise CallError(Reason.NOT_FOUND, "There is no job 7.")
        yield 1

    with pytest.raises(CallError, match="no job 7"):
        list(asked_again(refused))
