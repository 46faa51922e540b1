"""Progress: the page a training leaves, and steps found in output."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import structlog
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.progress import (
    PAGE_BYTES,
    TELLING_NODES,
    Patterns,
    ProgressWatch,
    RankProgress,
    is_turn,
    read_checkpoint,
    read_page,
    read_phase,
)
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.model.hang import Phase
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import DEFAULT_CHECKPOINT_PATTERN, DEFAULT_PROGRESS_PATTERN
from dlroverd.model.world import Held

PATTERNS = Patterns.of(DEFAULT_PROGRESS_PATTERN, DEFAULT_CHECKPOINT_PATTERN)
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
    rank, seen = RankProgress(files, PATTERNS), [-1]
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
    assert (read_page(record), read_checkpoint(record)) == (None, -1)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A page that a training left: step 5, and a checkpoint of step 4."""
    path = tmp_path_factory.mktemp("page") / "progress"
    script = "from dlroverd_train import checkpointed, progress; checkpointed(4); progress(5)"
    train(script, DLROVERD_PROGRESS_FILE=str(path))
    return path.read_bytes()


@pytest.mark.parametrize("changed", range(60))
def test_a_page_with_any_byte_changed_is_not_believed(page: bytes, changed: int) -> None:
    assert len(page) == 60 <= PAGE_BYTES
    step = read_page(page)
    assert step is not None
    assert (step.step, read_checkpoint(page)) == (5, 4)
    broken = bytearray(page)
    broken[changed] ^= 0x10
    step = read_page(bytes(broken))
    assert (step.step if step else None, read_checkpoint(bytes(broken))) == ((None, 4) if changed < 44 else (5, -1))


def test_a_page_of_an_older_training_tells_its_step_and_no_checkpoint(page: bytes) -> None:
    older = page[:44] + bytes(20)
    step = read_page(older)
    assert step is not None
    assert (step.step, read_checkpoint(older)) == (5, -1)


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
    rank = RankProgress(files, PATTERNS)
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
    rank = RankProgress(files, PATTERNS)
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
    assert newest(RankProgress(files, PATTERNS)) == 3
    files.progress.unlink()
    elsewhere.rename(files.progress)
    assert newest(RankProgress(files, PATTERNS)) == 8


def test_checkpoints_are_found_on_the_page_or_else_in_the_output(files: RankFiles) -> None:
    rank = RankProgress(files, PATTERNS)
    files.output.write_bytes(b"step 3\nSaved checkpoint for step 3\nstep 4\n")
    rank.look()
    assert (rank.newest and rank.newest.step, rank.checkpoint) == (4, 3)
    train("from dlroverd_train import progress; progress(8)", DLROVERD_PROGRESS_FILE=str(files.progress))
    with files.output.open("ab") as output:
        output.write(b"step 5\nsuccessfully saved checkpoint from iteration 5 to /x\n")
    rank.look()
    assert (rank.newest and rank.newest.step, rank.checkpoint) == (8, 5)
    train("from dlroverd_train import checkpointed; checkpointed(9)", DLROVERD_PROGRESS_FILE=str(files.progress))
    rank.look()
    assert (rank.newest and rank.newest.step, rank.checkpoint) == (8, 9)


def watching(folder: Path) -> "tuple[asyncio.Queue[Any], ProgressWatch, asyncio.Task[None]]":
    """Have ranks whose files are in a folder watched at a quick beat; gives what is told, too. Needs a running loop."""
    told: asyncio.Queue[Any] = asyncio.Queue()
    watch = ProgressWatch(lambda key: rank_files(folder, key), told.put_nowait)
    watch.beat_s = 0.05
    return told, watch, asyncio.create_task(watch.run())


def test_a_checkpoint_is_told_when_it_is_seen_and_again_to_a_new_session(tmp_path: Path) -> None:
    async def scene() -> None:
        told, watch, looking = watching(tmp_path)
        watch.watch(WORLD.rank(0), PATTERNS, Held())
        output = rank_files(tmp_path, WORLD.rank(0)).output
        async with asyncio.timeout(20):
            output.write_bytes(b"saved checkpoint at step 5\n")
            first = await told.get()
            assert (first.step, first.checkpoint) == (5, 5)
            output.write_bytes(b"saved checkpoint at step 5\nstep 9\n")
            assert (await told.get()).step == 9
            output.write_bytes(b"saved checkpoint at step 5\nstep 9\nsaved checkpoint at step 6\n")
            for _ in range(2):
                again = await told.get()
                assert (again.step, again.checkpoint) == (9, 6)
                watch.repeat()
        looking.cancel()

    asyncio.run(scene())


def test_that_ranks_ask_whether_to_save_is_told_once_all_of_them_do(tmp_path: Path) -> None:
    async def scene() -> None:
        told, watch, looking = watching(tmp_path)
        ranks = [rank_files(tmp_path, WORLD.rank(rank)) for rank in (0, 1)]
        for rank in (0, 1):
            watch.watch(WORLD.rank(rank), PATTERNS, Held())
        async with asyncio.timeout(20):
            for files, step, known in zip(ranks, (5, 6), (False, True), strict=True):
                env = {"DLROVERD_PROGRESS_FILE": str(files.progress), "DLROVERD_SAVES_FILE": str(files.saves)}
                script = f"from dlroverd_train import should_checkpoint; should_checkpoint({step})"
                await asyncio.to_thread(train, script, **env)
                while (await told.get()).asks is not known:
                    pass
        looking.cancel()

    asyncio.run(scene())


def test_a_world_tells_its_first_step_at_once_and_its_highest_then(tmp_path: Path) -> None:
    async def scene() -> None:
        told, watch, looking = watching(tmp_path)
        for rank in (0, 1):
            watch.watch(WORLD.rank(rank), PATTERNS, Held())
        first, second = (rank_files(tmp_path, WORLD.rank(rank)) for rank in (0, 1))
        async with asyncio.timeout(20):
            second.output.write_bytes(b"step 5\n")
            assert (await told.get()).step == 5
            first.output.write_bytes(b"step 4\n")
            second.output.write_bytes(b"step 5\nstep 6\n")
            assert (await told.get()).step == 6
            watch.repeat()
            assert (await told.get()).step == 6
            assert await watch.last_step(WORLD.rank(0), PATTERNS) == 4
            second.output.write_bytes(b"step 5\nstep 6\nstep 7")
            assert await watch.last_step(WORLD.rank(1), PATTERNS) == 7
        looking.cancel()

    asyncio.run(scene())


def test_a_rank_that_counts_backwards_is_at_work_and_a_sentence_once(tmp_path: Path) -> None:
    async def scene() -> None:
        told, watch, looking = watching(tmp_path)
        watch.watch(WORLD.rank(0), PATTERNS, Held())
        output = rank_files(tmp_path, WORLD.rank(0)).output
        async with asyncio.timeout(20):
            output.write_bytes(b"step 9\n")
            first = await told.get()
            with structlog.testing.capture_logs() as logs:
                moved_at = first.moved_at
                for back in (b"step 2\n", b"step 1\n"):
                    with output.open("ab") as file:
                        file.write(back)
                    later = await told.get()
                    assert later.step == 9
                    assert later.moved_at > moved_at
                    moved_at = later.moved_at
        (complaint,) = logs
        assert complaint["event"].startswith(f"{WORLD.rank(0)} told of step 2 after step 9: ")
        looking.cancel()

    asyncio.run(scene())


@pytest.mark.parametrize("nodes", [1, TELLING_NODES, TELLING_NODES + 1, 1000])
def test_few_nodes_of_a_large_world_tell_its_step_at_each_beat_and_each_in_its_turn(nodes: int) -> None:
    told = [[rank for rank in range(nodes) if is_turn(beat, rank, nodes)] for beat in range(-(-nodes // TELLING_NODES))]
    assert all(min(nodes, TELLING_NODES) // 2 <= len(each) <= TELLING_NODES for each in told)
    assert sorted(chain(*told)) == list(range(nodes))


def test_what_a_rank_is_at_is_on_its_page_and_told_when_it_changes(tmp_path: Path) -> None:
    async def scene() -> None:
        told, watch, looking = watching(tmp_path)
        for rank in (0, 1):
            watch.watch(WORLD.rank(rank), PATTERNS, Held())
        pages = [str(rank_files(tmp_path, WORLD.rank(rank)).progress) for rank in (0, 1)]
        saves = "from dlroverd_train import events; events.save(3); events.persist_ckpt(3)"
        idles = "from dlroverd_train import phase; at = phase('idle'); at.__enter__(); phase('nap').__enter__()"
        over = "from dlroverd_train import phase\nwith phase('idle'): pass"
        async with asyncio.timeout(20):
            for script, page, known in ((saves, 0, "checkpoint"), (idles, 1, "idle"), (over, 1, "checkpoint")):
                await asyncio.to_thread(train, script, DLROVERD_PROGRESS_FILE=pages[page])
                assert (await told.get()).phase == known
        looking.cancel()

    asyncio.run(scene())


def test_a_torn_or_strange_phase_is_none() -> None:
    assert read_phase(b"") == (Phase.STEP, 0.0)
    assert read_phase(bytes(PAGE_BYTES)) == (Phase.STEP, 0.0)
    assert read_phase(b"PHAS" * (PAGE_BYTES // 4)) == (Phase.STEP, 0.0)


def test_an_unknown_phase_is_complained_of_once_and_changes_nothing() -> None:
    done = train("from dlroverd_train import phase\nfor name in ('nap', None, 7):\n  with phase(name): pass")
    assert done.stderr == b"dlroverd_train.phase: 'nap' is no phase: use init, checkpoint, evaluate, idle\n"
