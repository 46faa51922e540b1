"""should_checkpoint: all ranks answer alike at each step, whenever each of them hears what is asked."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from dlroverd_train._saves import _Saves as Saves
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.model import world as model

HEAD = """
import json, os, sys
from dlroverd_train import should_checkpoint
path = os.environ.get("DLROVERD_SAVES_FILE", "")
def put(**more):
    with open(path + ".new", "w") as file:
        json.dump({"at": -1, "every": 0, "since": 0, "was_every": 0, "was_since": 0, **more}, file)
    os.rename(path + ".new", path)
def true(*steps):
    return [step for step in steps if should_checkpoint(step)]
"""


def says(folder: Path, script: str, **env: str) -> list[str]:
    """Give the lines that a rank of its own prints."""
    files = {"DLROVERD_SAVES_FILE": str(folder / "saves"), "DLROVERD_PROGRESS_FILE": str(folder / "progress")}
    done = subprocess.run(
        [sys.executable, "-c", HEAD + script], env={**os.environ, **files, **env}, check=True, capture_output=True
    )
    assert done.stderr == b""
    return done.stdout.decode().splitlines()


def test_it_saves_once_for_what_is_asked_and_by_its_interval(tmp_path: Path) -> None:
    assert says(
        tmp_path,
        """
print(true(1, 2, 3))
put(at=7)
print(true(4, 5, 6, 7, 8, 9))
print(true(9, 9, 7, 7, 8), "the same answer to the same question")
put(at=7, every=10, since=12)
print(true(*range(10, 40)))
put(at=20, every=10, since=12)
print(true(40, 41, 42), "late, and once")
put()
print(true(50, 60))
os.unlink(path)
print(true(70, 80))
""",
    ) == [
        "[]",
        "[7]",
        "[7, 7] the same answer to the same question",
        "[22, 32]",
        "[40, 42] late, and once",
        "[]",
        "[]",
    ]


def test_a_rank_that_asks_seldom_saves_at_the_next_step_that_it_asks_at(tmp_path: Path) -> None:
    assert says(
        tmp_path,
        "put(at=15, every=100, since=0)\nprint(true(10, 20, 30))\nprint(true(*range(90, 320, 30)))",
    ) == ["[20]", "[120, 210, 300]"]


def test_it_tells_the_step_and_that_it_asks(tmp_path: Path) -> None:
    says(tmp_path, "true(41, 42)")
    page = (tmp_path / "progress").read_bytes()
    assert int.from_bytes(page[16:24], "little") == 42
    assert page[60:] == b"ASKS"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"at": 1}', '{"at": "x"}', "\0"])
def test_what_makes_no_sense_asks_for_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "saves").write_text(content)
    assert says(tmp_path, "print(true(1, 2)); print(should_checkpoint('x'), should_checkpoint(None))") == [
        "[]",
        "False False",
    ]


def test_outside_dlroverd_nothing_is_asked_for(tmp_path: Path) -> None:
    script = "del os.environ['DLROVERD_SAVES_FILE'], os.environ['DLROVERD_PROGRESS_FILE']\nprint(true(1, 2))"
    assert says(tmp_path, script) == ["[]"]
    assert [each.name for each in tmp_path.iterdir()] == ["stacks"], "made at the import, which was inside"


def test_the_file_is_what_the_agent_writes() -> None:
    told = asdict(model.Saves(at=3, every=5, since=7, was_every=2, was_since=1))
    assert Saves(**json.loads(json.dumps(told))) == Saves(3, 5, 7, 2, 1)


@given(
    first=st.tuples(st.integers(1, 50), st.integers(0, 60)),
    later=st.tuples(st.integers(1, 50), st.integers(0, 80)),
    heard=st.lists(st.integers(0, 1_000_000), min_size=2, max_size=4),
)
def test_ranks_that_hear_of_a_new_cadence_in_time_never_differ(
    first: tuple[int, int], later: tuple[int, int], heard: list[int]
) -> None:
    old = Saves(every=first[0], since=first[1])
    since = first[1] + later[1]
    new = Saves(every=later[0], since=since, was_every=first[0], was_since=first[1])
    answers = []
    for each in heard:
        at = each % (since + 1)  # at the latest when it is at the step from which the new one counts
        saves = [old if step < at else new for step in range(since + 200)]
        answers.append([step for step in range(1, since + 200) if saves[step].due(step) > saves[step].due(step - 1)])
    assert all(each == answers[0] for each in answers)
    assert answers[0] != [] or later[0] > 199
