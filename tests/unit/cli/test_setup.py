"""What a setup does to a host: told of before it is done, done once, and what is there already is kept."""

import os
from pathlib import Path

import pytest

from dlroverd.cli.endings import CommandError
from dlroverd.cli.setup.steps import Steps

ME = Path(__file__).owner()
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a host is set up as root")


def a_setup(steps: Steps, place: Path) -> None:
    steps.folder(place / "tls", mode=0o750, owner=ME)

    def make_both() -> None:
        (place / "tls/certificate").write_text("certificate")
        (place / "tls/key").write_text("key")

    steps.make({place / "tls/certificate": 0o644, place / "tls/key": 0o600}, make_both, owner=ME)
    steps.file(place / "file.yaml", "listen: []\n", owner=ME)


def test_a_dry_run_tells_all_and_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = Steps(dry_run=True)
    a_setup(steps, tmp_path)
    steps.run("false")
    assert capsys.readouterr().out.splitlines() == [
        "# a dry run: nothing is done",
        f"make      {tmp_path}/tls/  (0750 {ME})",
        f"make      {tmp_path}/tls/certificate  (0644 {ME})",
        f"make      {tmp_path}/tls/key  (0600 {ME})",
        f"make      {tmp_path}/file.yaml  (0644 {ME})",
        "          listen: []",
        "run       false",
    ]
    assert list(tmp_path.iterdir()) == []


def test_done_again_it_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = Steps(dry_run=False)
    a_setup(first, tmp_path)
    assert first.changed
    modes = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "tls").iterdir()}
    assert modes == {tmp_path / "tls/certificate": 0o644, tmp_path / "tls/key": 0o600}
    capsys.readouterr()
    (tmp_path / "file.yaml").write_text("listen: [mine]\n")

    again = Steps(dry_run=False)
    a_setup(again, tmp_path)
    assert not again.changed
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {"keep"}
    assert (tmp_path / "file.yaml").read_text() == "listen: [mine]\n"


def test_half_of_what_belongs_together_is_a_question_for_a_person(tmp_path: Path) -> None:
    a_setup(Steps(dry_run=False), tmp_path)
    (tmp_path / "tls/key").unlink()
    with pytest.raises(CommandError) as raised:
        a_setup(Steps(dry_run=False), tmp_path)
    assert f"{tmp_path}/tls/certificate is there and {tmp_path}/tls/key is not" in raised.value.sentence
    assert (tmp_path / "tls/certificate").read_text() == "certificate"


def test_a_command_that_fails_says_what_it_said() -> None:
    steps = Steps(dry_run=False)
    with pytest.raises(CommandError) as raised:
        steps.run("sh", "-c", "echo the unit is not there >&2; exit 5")
    assert "failed: the unit is not there" in raised.value.sentence
