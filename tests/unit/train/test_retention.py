"""Which steps go when another is committed, and that what is needed stays."""

import os
from pathlib import Path

import pytest
from dlroverd_train.vault import retention, stored
from dlroverd_train.vault.retention import Keep
from dlroverd_train.vault.streams import Streams
from hypothesis import given
from hypothesis import strategies as st

METRICS = st.dictionaries(st.integers(0, 60), st.none() | st.sampled_from((0.1, 0.2, 0.3)) | st.floats(allow_nan=False))
KEEPS = st.builds(Keep, st.integers(1, 5), st.integers(0, 7), st.integers(0, 4), st.booleans())


@pytest.mark.parametrize(
    ("keep", "gone"),
    [
        (Keep(last=1), [10, 20, 30, 40]),
        (Keep(last=2), [10, 20, 30]),
        (Keep(last=9), []),
        (Keep(last=1, every=20), [10, 30]),
        (Keep(last=1, best=1), [10, 20, 40]),  # 20 is as good as 30, and older
        (Keep(last=1, best=2, highest=True), [20, 30]),
    ],
)
def test_what_is_superfluous(keep: Keep, gone: list[int]) -> None:
    assert retention.superfluous({10: 0.9, 20: 0.2, 30: 0.2, 40: 0.5, 50: None}, keep) == gone


@given(METRICS, KEEPS)
def test_whatever_is_asked_for_is_kept(metrics: dict[int, float | None], keep: Keep) -> None:
    gone = retention.superfluous(metrics, keep)
    kept = set(metrics) - set(gone)
    assert gone == sorted(set(gone) & set(metrics))
    assert kept >= set(sorted(metrics)[-keep.last :])
    assert not any(keep.every and step % keep.every == 0 for step in gone)
    rated = [metric for metric in metrics.values() if metric is not None]
    best = sorted(rated, reverse=keep.highest)[: keep.best]
    held = sorted((m for step, m in metrics.items() if m is not None and step in kept), reverse=keep.highest)
    assert held[: len(best)] == best
    assert len(kept) <= keep.last + len(best) + sum(1 for step in metrics if keep.every and step % keep.every == 0)
    assert retention.superfluous({step: metrics[step] for step in kept}, keep) == []


@pytest.mark.parametrize(
    ("keep", "wrong"),
    [
        (Keep(last=3, every=10, best=1), ""),
        (Keep(last=0), "keep.last is 0: at least the last step is kept"),
        (Keep(last=1, every=-2), "keep.every is -2: 0 is for none"),
        (Keep(last=1, best=-1), "keep.best is -1: 0 is for none"),
    ],
)
def test_what_cannot_be_kept_is_said(keep: Keep, wrong: str) -> None:
    assert retention.wrong_with(keep) == wrong


def commit(path: Path, *steps: int) -> None:
    for step in steps:
        folder = path / f"step-{step}"
        folder.mkdir()
        (folder / "part").write_bytes(content := os.urandom(1000))
        pieces = Streams(1).write(str(folder / "part2"), memoryview(content), [(0, 1000)])
        files = [{"name": name, "size": 1000, "pieces": pieces} for name in ("part", "part2")]
        (folder / stored.MANIFEST).write_bytes(stored.manifest_of(step, f"id-{step}", 1, files))


def harm(path: Path, step: int) -> None:
    where = path / f"step-{step}" / "part"
    where.write_bytes(bytes(1000))


def steps(path: Path) -> list[int]:
    return [each.step for each in stored.steps(str(path))]


def test_the_newest_step_that_is_as_it_was_written_stays(tmp_path: Path) -> None:
    commit(tmp_path, 1, 2, 3, 4)
    harm(tmp_path, 4)
    assert retention.prune(str(tmp_path), Keep(1), set(), dry=True) == ([1, 2], [])
    assert steps(tmp_path) == [4, 3, 2, 1]
    sound: set[str] = set()
    assert retention.prune(str(tmp_path), Keep(1), sound) == ([1, 2], [])
    assert steps(tmp_path) == [4, 3]
    assert sound == {"id-3"}
    harm(tmp_path, 3)
    assert retention.prune(str(tmp_path), Keep(1), set()) == (
        [],
        [f"no step of {tmp_path} is as it was written: none is removed"],
    )
    commit(tmp_path, 5)
    assert retention.prune(str(tmp_path), Keep(1), set()) == ([3, 4], [])
    assert sorted(os.listdir(tmp_path)) == ["step-5"]


def test_a_step_that_is_being_loaded_stays_until_it_is_loaded(tmp_path: Path) -> None:
    commit(tmp_path, 1, 2, 3)
    with retention.loading(str(tmp_path / "step-1")):
        assert retention.prune(str(tmp_path), Keep(1), set()) == (
            [2],
            [f"{tmp_path}/step-1 is being loaded: it stays for now"],
        )
    with retention.loading(str(tmp_path / "step-2")):  # it is gone, which its loader sees
        assert retention.prune(str(tmp_path), Keep(1), set()) == ([1], [])
    assert steps(tmp_path) == [3]


def test_what_was_half_removed_is_removed_by_the_next(tmp_path: Path) -> None:
    commit(tmp_path, 1, 2)
    (tmp_path / "step-1").rename(tmp_path / ".removing-1-id-1")
    assert retention.prune(str(tmp_path), Keep(5), set()) == ([], [])
    assert sorted(os.listdir(tmp_path)) == ["step-2"]
