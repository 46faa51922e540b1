"""Backups that are whole, and those that are not: nothing is written from one that is damaged."""

import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from dlroverd.daemon.archive import BackupError
from dlroverd.daemon.backup import back_up
from dlroverd.daemon.backup import main as backup
from dlroverd.daemon.restore import main as restore
from dlroverd.daemon.restore import restore as restore_from
from dlroverd.store.interface import Record
from dlroverd.store.sqlite import SqliteStore

RESERVE = 1 << 20
KEYS = {"ca.pem", "d.pem", "d.key", "ca.key"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Make the configuration of a daemon that has a log of three records, a topology and a file of its own."""
    topology, file = tmp_path / "topology.yaml", tmp_path / "daemon.yaml"
    topology.write_text("{}")
    tls = {"ca": "ca.pem", "certificate": "d.pem", "key": "d.key", "ca_key": "ca.key"}
    for name in tls.values():
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o600)
    paths = {key: str(tmp_path / name) for key, name in tls.items()}
    file.write_text(json.dumps({"state_dir": str(tmp_path / "state"), "topology": str(topology), "tls": paths}))
    with closing(SqliteStore(tmp_path / "state", reserve_bytes=RESERVE)) as store:
        store.append([Record(n, float(n), "[]", "[]") for n in (1, 2, 3)])
    (tmp_path / "state" / "more").mkdir()
    (tmp_path / "state" / "more" / "file").write_text("secret")
    return file


def opened(state_dir: Path) -> SqliteStore:
    return SqliteStore(state_dir, reserve_bytes=RESERVE)


def test_a_copy_is_of_one_moment_while_the_daemon_writes(config: Path, tmp_path: Path) -> None:
    with closing(opened(tmp_path / "state")) as store:
        file, manifest = back_up(tmp_path, str(config))
        store.append([Record(4, 4.0, "[]", "[]")])
        assert (manifest.log_id, manifest.position) == (store.log_id, 3)
    assert file.name.startswith(f"dlroverd-{manifest.log_id[:8]}-")
    assert {Path(part.path).name for part in manifest.parts} == {"", "daemon.yaml", "topology.yaml", "file", *KEYS}
    assert not list(tmp_path.glob(".dlroverd-backup-*"))


def test_a_new_host_gets_everything_and_a_log_of_its_own(config: Path, tmp_path: Path) -> None:
    file, manifest = back_up(tmp_path / "copy", str(config))
    (tmp_path / "state").rename(tmp_path / "lost")
    (tmp_path / "topology.yaml").unlink()
    (tmp_path / "ca.key").unlink()
    restore_from(file, str(config), force=False)
    assert (tmp_path / "topology.yaml").read_text() == "{}"
    assert (tmp_path / "state" / "more" / "file").read_text() == "secret"
    assert (tmp_path / "ca.key").read_text() == "ca.key"
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    with closing(opened(tmp_path / "state")) as store:
        assert store.last_position() == 3
        assert store.lineage.ancestors == (manifest.log_id,)
        assert store.lineage.taken_at == manifest.taken_at
        assert store.log_id != manifest.log_id


def test_a_log_that_gives_way_is_kept_and_its_followers_are_taken_over(config: Path, tmp_path: Path) -> None:
    file, manifest = back_up(tmp_path / "copy", str(config))
    ids = {manifest.log_id}
    for _ in range(2):
        restore_from(file, str(config), force=True)
        with closing(opened(tmp_path / "state")) as store:
            assert set(store.lineage.ancestors) == ids
            ids.add(store.log_id)
            store.append([Record(4, 4.0, "[]", "[]")])
    kept = sorted((tmp_path / "state").glob("log.db.replaced-*"))
    assert len(kept) == 2
    with closing(sqlite3.connect(kept[1])) as replaced:
        assert replaced.execute("SELECT max(position) FROM record").fetchone() == (4,)


def test_a_damaged_log_can_be_replaced(config: Path, tmp_path: Path) -> None:
    file, manifest = back_up(tmp_path / "copy", str(config))
    (tmp_path / "state" / "log.db").write_bytes(b"no log")
    restore_from(file, str(config), force=True)
    with closing(opened(tmp_path / "state")) as store:
        assert store.lineage.ancestors == (manifest.log_id,)


def test_what_is_there_is_left_as_it_is_and_named(config: Path, tmp_path: Path) -> None:
    file, _ = back_up(tmp_path / "copy", str(config))
    (tmp_path / "topology.yaml").write_text("{racks: {}}")
    (sentence,) = [each for each in restore_from(file, str(config), force=True) if "topology" in each]
    assert "was left as it is" in sentence
    assert (tmp_path / "topology.yaml").read_text() == "{racks: {}}"


@pytest.mark.parametrize("left", [0.0, 0.3, 0.99])
def test_a_backup_that_was_cut_short_changes_nothing(config: Path, tmp_path: Path, left: float) -> None:
    file, _ = back_up(tmp_path / "copy", str(config))
    whole = file.read_bytes()
    end = whole.rstrip(b"\0")  # a tar ends with zeros, which may be missing
    file.write_bytes(whole[: int(len(end) * left)])
    before = (tmp_path / "state" / "log.db").read_bytes()
    with pytest.raises(BackupError, match=r"cut short|damaged"):
        restore_from(file, str(config), force=True)
    assert (tmp_path / "state" / "log.db").read_bytes() == before
    assert not list((tmp_path / "state").glob("*.restoring"))


def test_a_byte_that_went_bad_is_noticed(config: Path, tmp_path: Path) -> None:
    file, _ = back_up(tmp_path / "copy", str(config))
    with tarfile.open(file) as tar:
        at = tar.getmember("log.db").offset_data
    whole = bytearray(file.read_bytes())
    whole[at + 5000] ^= 1
    file.write_bytes(whole)
    with pytest.raises(BackupError, match=r"log.db in it is not what was written"):
        restore_from(file, str(config), force=True)


@pytest.mark.parametrize(
    ("content", "told"), [(b"", "cut short"), (b"hello" * 999, "cut short"), (None, "No such file")]
)
def test_what_is_no_backup_is_refused_in_a_sentence(
    config: Path, tmp_path: Path, content: bytes | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "copy"
    if content is not None:
        file.write_bytes(content)
    assert restore([str(file), "--config", str(config)]) == 1
    assert told in capsys.readouterr().err


def test_what_cannot_be_backed_up_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "daemon.yaml"
    file.write_text(json.dumps({"state_dir": str(tmp_path / "none")}))
    assert backup([str(tmp_path / "copy"), "--config", str(file)]) == 1
    assert "There is no state directory" in capsys.readouterr().err
    (tmp_path / "none").mkdir()
    assert backup([str(tmp_path / "copy"), "--config", str(file)]) == 1
    assert "there is no log in" in capsys.readouterr().err
