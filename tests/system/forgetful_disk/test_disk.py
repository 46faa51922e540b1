"""The forgetful disk itself: it kills where it is told, and forgets what was not synced and only that."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.forgetful_disk import disk

SEEDS = range(40)
OLD, NEW = b"o" * disk.PAGE, b"n" * disk.PAGE


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disk.build(tmp_path_factory.mktemp("library"))


class Bench:
    """A directory `here` with a file `f` of three old pages, and short programs run in it."""

    def __init__(self, library: Path, root: Path) -> None:
        self.library, self.here, self.journal = library, root / "disk", root / "journal"
        self.here.mkdir(parents=True)
        self.journal.mkdir()
        (self.here / "f").write_bytes(OLD * 3)

    def run(self, program: str, kill_at: int = 0, when: disk.Moment = "before") -> subprocess.CompletedProcess[str]:
        prelude = (
            f"import os; NEW = b'n' * {disk.PAGE}; here = {str(self.here)!r}; "
            "f = os.open(here + '/f', os.O_RDWR); d = os.open(here, os.O_RDONLY)\n"
        )
        return subprocess.run(
            [sys.executable, "-c", prelude + program],
            env={
                **os.environ,
                **disk.environment(self.library, self.here, self.journal, kill_at=kill_at, when=when),
            },
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.here.iterdir()}


def outcomes(library: Path, tmp_path: Path, program: str) -> list[dict[str, bytes]]:
    """Run a program to its end and cut the power, once for each seed; give the different things left."""
    found: list[dict[str, bytes]] = []
    for seed in SEEDS:
        bench = Bench(library, (tmp_path / str(seed)).resolve())
        assert bench.run(program).returncode == 0
        disk.forget(bench.here, bench.journal, seed)
        if bench.contents() not in found:
            found.append(bench.contents())
    return found


def test_what_was_synced_stays(library: Path, tmp_path: Path) -> None:
    program = "os.pwrite(f, NEW, 4096); os.ftruncate(f, 8192); os.fsync(f)"
    assert outcomes(library, tmp_path, program) == [{"f": OLD + NEW}]


def test_pages_that_were_not_synced_are_lost_one_by_one(library: Path, tmp_path: Path) -> None:
    found = outcomes(library, tmp_path, "os.fdatasync(f); os.pwrite(f, NEW * 2, 4096)")
    pages = {content["f"] for content in found}
    assert pages == {OLD * 3, OLD + NEW * 2, OLD + OLD + NEW, OLD + NEW + OLD}


def test_a_file_that_grew_may_have_grown_and_have_nothing_in_it(library: Path, tmp_path: Path) -> None:
    found = outcomes(library, tmp_path, "os.pwrite(f, NEW, 12288)")
    assert {content["f"] for content in found} == {OLD * 3, OLD * 3 + NEW, OLD * 3 + bytes(disk.PAGE)}


def test_a_cut_may_be_taken_back_whole(library: Path, tmp_path: Path) -> None:
    assert {content["f"] for content in outcomes(library, tmp_path, "os.ftruncate(f, 100)")} == {
        OLD[:100],
        OLD * 3,
    }


def test_names_are_taken_back_from_the_last(library: Path, tmp_path: Path) -> None:
    program = (
        "os.close(os.open(here + '/a', os.O_CREAT | os.O_WRONLY)); os.fsync(d)\n"
        "os.rename(here + '/a', here + '/f'); os.close(os.open(here + '/b', os.O_CREAT))\n"
        "os.unlink(here + '/f')"
    )
    steps = [
        {"f": OLD * 3, "a": b""},
        {"f": b""},
        {"f": b"", "b": b""},
        {"b": b""},
    ]
    found = outcomes(library, tmp_path, program)
    assert all(outcome in steps for outcome in found)
    assert len(found) == len(steps)


@pytest.mark.parametrize(("when", "left"), [("before", OLD), ("after", NEW)])
def test_it_dies_where_it_is_told(library: Path, tmp_path: Path, when: disk.Moment, left: bytes) -> None:
    bench = Bench(library, tmp_path.resolve())
    life = bench.run("print('one', flush=True); os.write(f, NEW); os.pwrite(f, NEW, 4096)", 2, when)
    assert life.returncode == -signal.SIGKILL
    assert life.stdout == "one\n"
    assert bench.contents() == {"f": NEW + left + OLD}
    assert [(point.number, point.call) for point in disk.points(bench.journal)] == [
        (1, "write"),
        (2, "pwrite"),
    ]


def test_children_and_other_directories_are_left_alone(library: Path, tmp_path: Path) -> None:
    bench = Bench(library, tmp_path.resolve())
    program = (
        "import subprocess, sys\n"
        "os.write(os.open(here + '-other', os.O_CREAT | os.O_WRONLY), NEW)\n"
        'subprocess.run([sys.executable, \'-c\', f\'open({here!r} + "/child", "w").write("x")\'], check=True)\n'
        "if os.fork() == 0: os.write(f, NEW); os._exit(0)\n"
        "os.wait()"
    )
    assert bench.run(program, 1).returncode == 0
    assert disk.points(bench.journal) == []
    assert bench.contents() == {"f": NEW + OLD * 2, "child": b"x"}
