"""What a bundle hides beyond what looks like a secret, and how its archive appears: whole, or not at all."""

import json
import os
import stat
import tarfile
from pathlib import Path

import pytest

from dlroverd.cli.archive import Archive
from dlroverd.cli.endings import CommandError
from dlroverd.cli.hiding import hidden_values, parts, secrets_here
from dlroverd.model.job import Secret
from dlroverd.runtime.redaction import Redactor

SPEC = {
    "argv": ["train.py", "--api-key", "canary-a", "--token=canary-b"],
    "env": {"X": "canary-c", "LANG": "C"},
    "n": 1,
}


def test_what_a_redacted_spec_hides_is_found_in_the_whole_one() -> None:
    redacted = json.loads(Redactor().document(json.dumps(SPEC)))
    assert sorted(hidden_values(SPEC, redacted)) == ["canary-a", "canary-b", "canary-c"]
    assert list(hidden_values(SPEC, SPEC)) == []
    assert list(hidden_values({"a": "x"}, {"a": ["x"]})) == [], "of another shape"
    assert list(hidden_values("a=x b=y", "a=*** b=***")) == [], "which part is which cannot be told"


def test_two_roles_may_have_different_secrets_of_one_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"canary-{name}\n")
    files = [str(tmp_path / name) for name in ("one", "two", "one", "absent")]
    found = secrets_here(Secret(name="TOKEN", file=file) for file in files)
    assert sorted(found.values()) == ["", "canary-one", "canary-two"]


@pytest.mark.parametrize("text", ["", "abc", "one\ntwo\nthree\n", "x" * 25, "a\n" + "x" * 25 + "\nb"])
def test_a_text_is_cut_at_ends_of_lines_and_nothing_is_lost(text: str) -> None:
    cut = list(parts(text, 10))
    assert "".join(cut) == text
    assert all(0 < len(part) <= 10 for part in cut)
    if text.startswith("one"):
        assert cut == ["one\ntwo\n", "three\n"]


def test_an_archive_is_its_owners_alone_and_replaces_nothing_unasked(tmp_path: Path) -> None:
    path = tmp_path / "job.tar.gz"
    with Archive(str(path), "job", force=False) as archive:
        archive.add("a/b.txt", "said \ud800")
        assert archive.close() == path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["job/a/b.txt"]
    before = path.read_bytes()
    with pytest.raises(CommandError, match="is there already: name another file with -o, or add --force"):
        Archive(str(path), "job", force=False)
    with Archive(str(path), "job", force=True) as archive:
        archive.close()
    assert path.read_bytes() != before
    assert os.listdir(tmp_path) == ["job.tar.gz"]


def test_an_archive_that_was_not_closed_leaves_nothing(tmp_path: Path) -> None:
    with Archive(str(tmp_path / "x.tar.gz"), "job", force=False) as archive:
        archive.add("a", "a")
    assert os.listdir(tmp_path) == []
    with pytest.raises(CommandError, match=r"cannot be written \(No such file or directory\)"):
        Archive(str(tmp_path / "none" / "x.tar.gz"), "job", force=False)
    with pytest.raises(CommandError, match="is there already"):
        Archive(str(tmp_path), "job", force=False)
    with pytest.raises(CommandError, match="is a folder"):
        Archive(str(tmp_path), "job", force=True)


def test_somebody_who_was_quicker_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    with Archive(str(path), "job", force=False) as archive:
        path.write_text("theirs")
        with pytest.raises(CommandError, match="File exists"):
            archive.close()
    assert path.read_text() == "theirs"
    assert os.listdir(tmp_path) == ["x.tar.gz"]
