"""Output on its way to the terminal: whole lines, nothing twice, gaps and failures said."""

from collections.abc import Iterator

import pytest

from dlroverd.cli.following import asked_again, read_output
from dlroverd.cli.printing import Lines, Prefix, printer
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


def test_what_a_new_daemon_repeats_is_skipped(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    pieces = [
        chunk(b"one\ntw"),
        chunk(b"one\ntwo\nthr", offset=0),
        chunk(b"ee\n", offset=11, gap=0),
        chunk(b"ten\n", offset=50, gap=36),
        chunk(b"", offset=54, eof=True),
    ]
    assert read_output(iter(pieces), printer(Prefix([("t", 0, 0)])))
    out, err = capfdbinary.readouterr()
    assert out == b"one\ntwo\nthree\nten\n"
    assert err == b"dlroverctl: 36 bytes of the output of rank 0 are no longer kept\n"


def test_output_that_cannot_be_had_is_said_and_the_rest_goes_on(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    pieces = [LogFailed(node="n2", sentence="Node n2 is not connected."), chunk(b"x\n")]
    assert not read_output(iter(pieces), printer(Prefix([("t", 0, 0)])))
    assert capfdbinary.readouterr() == (b"x\n", b"dlroverctl: Node n2 is not connected.\n")


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
