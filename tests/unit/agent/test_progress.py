"""Progress: the page a training leaves, and steps found in output."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.progress import PAGE_BYTES, ProgressWatch, RankProgress, read_page, step_pattern
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import DEFAULT_PROGRESS_PATTERN
from dlroverd.model.world import Progress

PATTERN = step_pattern(DEFAULT_PROGRESS_PATTERN)
WORLD = GangKey(1, "trainer", 0).at(1)
COUNTS = "from dlroverd_train import progress\nfor step in range(20_000): progress(step)"


@pytest.fixture
def files(tmp_path: Path) -> RankFiles:
    return rank_files(tmp_path, WORLD.rank(0))


def rank_files(folder: Path, key: RankKey) -> RankFiles:
    files = RankFiles(folder / key.unit)
    files.error.parent.mkdir(parents=True, exist_ok=True)
    return files


def train(script: str, **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", script], env={**os.environ, **env}, check=True, capture_output=True)


def newest(rank: RankProgress, *, final: bool = False) -> int | None:
    rank.look(final=final)
    return rank.newest.step if rank.newest is not None else None


def count(path: str) -> None:
    os.environ["DLROVERD_PROGRESS_FILE"] = path
    exec(COUNTS)  # noqa: S102 - a text of ours


def test_another_process_reads_whole_steps_only_and_never_an_older_one(files: RankFiles) -> None:
    writer = multiprocessing.get_context("spawn").Process(target=count, args=(str(files.progress),))
    writer.start()
    rank, seen = RankProgress(files, PATTERN), [-1]
    while writer.is_alive():
        step = newest(rank)
        if step is not None:
            seen.append(step)
    writer.join()
    assert writer.exitcode == 0
    assert newest(rank) == 19_999
    assert seen == sorted(seen)
    assert rank.newest is not None
    assert abs(rank.newest.at - files.progress.stat().st_mtime) < 60


@given(st.binary(max_size=2 * PAGE_BYTES))
def test_what_is_no_page_is_no_progress(record: bytes) -> None:
    assert read_page(record) is None


@pytest.mark.parametrize("changed", range(44))
def test_a_page_with_any_byte_changed_is_not_believed(files: RankFiles, changed: int) -> None:
    train("from dlroverd_train import progress; progress(5)", DLROVERD_PROGRESS_FILE=str(files.progress))
    page = bytearray(files.progress.read_bytes())
    assert len(page) == PAGE_BYTES
    assert read_page(bytes(page)) is not None
    page[changed] ^= 0x10
    assert read_page(bytes(page)) is None


@pytest.mark.parametrize(
    "env", [{}, {"DLROVERD_PROGRESS_FILE": "/nowhere/page"}, {"DLROVERD_PROGRESS_FILE": "/dev/full"}]
)
def test_progress_never_raises(env: dict[str, str]) -> None:
    said = train("from dlroverd_train import progress\nfor step in (1, 2.5, 'x', None, 1 << 80): progress(step)", **env)
    assert (said.stdout, said.stderr) == (b"", b"")


def test_the_library_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    package = Path(__file__).parents[3] / "agent" / "train"
    said = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path = [*sys.path, {str(package)!r}]; import dlroverd_train",
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert said.stderr == b""


def test_steps_are_found_in_complete_lines_the_last_one_counts(files: RankFiles) -> None:
    rank = RankProgress(files, PATTERN)
    assert newest(rank) is None
    with files.output.open("wb", buffering=0) as output:
        output.write(b"epoch 1 step 3 loss 0.5\nsaving\nstep 4")
        assert newest(rank) == 3
        output.write(b"2 loss 0.4\r")
        assert newest(rank) == 42
        output.write(b"iteration 43/100")
        assert newest(rank) == 42
        assert newest(rank, final=True) == 43


def test_a_flood_of_output_is_not_read_through(files: RankFiles) -> None:
    rank = RankProgress(files, PATTERN)
    with files.output.open("wb", buffering=0) as output:
        output.write(b"step 1\n" + b"x" * 4_000_000 + b"\nstep 9\n" + b"x" * 1000)
        assert newest(rank) == 9
        output.write(b"\nstep " + b"9" * 40 + b"\n\xff\xfe\n")
        assert newest(rank) == 9


def test_the_page_wins_over_output_and_a_link_is_not_followed(files: RankFiles, tmp_path: Path) -> None:
    files.output.write_bytes(b"step 3\n")
    elsewhere = tmp_path / "elsewhere"
    train("from dlroverd_train import progress; progress(8)", DLROVERD_PROGRESS_FILE=str(elsewhere))
    files.progress.symlink_to(elsewhere)
    assert newest(RankProgress(files, PATTERN)) == 3
    files.progress.unlink()
    elsewhere.rename(files.progress)
    assert newest(RankProgress(files, PATTERN)) == 8


def test_a_world_tells_its_first_step_at_once_and_its_highest_then(tmp_path: Path) -> None:
    async def scene() -> None:
        told: asyncio.Queue[Progress] = asyncio.Queue()
        watch = ProgressWatch(lambda key: rank_files(tmp_path, key), told.put_nowait)
        watch.beat_s = 0.05
        looking = asyncio.create_task(watch.run())
        for rank in (0, 1):
            watch.watch(WORLD.rank(rank), PATTERN)
        first, second = (rank_files(tmp_path, WORLD.rank(rank)) for rank in (0, 1))
        async with asyncio.timeout(20):
            second.output.write_bytes(b"step 5\n")
            assert (await told.get()).step == 5
            first.output.write_bytes(b"step 4\n")
            second.output.write_bytes(b"step 5\nstep 6\n")
            assert (await told.get()).step == 6
            watch.repeat()
            assert (await told.get()).step == 6
            assert await watch.last_step(WORLD.rank(0), PATTERN) == 4
            second.output.write_bytes(b"step 5\nstep 6\nstep 7")
            assert await watch.last_step(WORLD.rank(1), PATTERN) == 7
        looking.cancel()

    asyncio.run(scene())
