"""Secrets as a rank reads them: whatever else lies where one should be is refused, and never waited for."""

import os
from pathlib import Path

import pytest
from dlroverd_agent.launchers import secret_values


@pytest.mark.parametrize(
    ("content", "value"), [(b"abc", "abc"), (b"abc\n", "abc"), (b"a\nb\r\n", "a\nb"), (b"", ""), (b"\xff", "\udcff")]
)
def test_a_file_is_the_value(tmp_path: Path, content: bytes, value: str) -> None:
    (tmp_path / "s").write_bytes(content)
    assert secret_values.of_user([("TOKEN", str(tmp_path / "s"), "")]) == {"TOKEN": value}


def test_what_is_no_secret_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"a" * (secret_values.MOST_BYTES + 1))
    (tmp_path / "nul").write_bytes(b"a\0b")
    told = {
        "fifo": "no regular file",
        ".": "no regular file",
        "gone": "No such file",
        "large": "larger than",
        "nul": "NUL",
    }
    for name, sentence in told.items():
        with pytest.raises(ValueError, match=sentence) as refused:
            secret_values.of_user([("TOKEN", str(tmp_path / name), "")])
        assert str(refused.value).startswith("secret TOKEN")


def test_a_credential_is_of_one_user(tmp_path: Path) -> None:
    (tmp_path / "dlroverd.ann.wandb").write_text("hers")
    wanted, stores = [("KEY", "", "wandb"), ("OTHER", "/a/file", "")], (str(tmp_path / "none"), str(tmp_path))
    assert secret_values.of_host(wanted, "ann", stores) == {"KEY": "hers"}
    with pytest.raises(ValueError, match=r"needs the credential dlroverd\.bob\.wandb"):
        secret_values.of_host(wanted, "bob", stores)


def test_an_encrypted_credential_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    (tmp_path / "store.encrypted").mkdir()
    (tmp_path / "store.encrypted" / "dlroverd.ann.wandb").write_text("not encrypted")
    with pytest.raises(ValueError, match=r"cannot be decrypted from .*wandb by systemd-creds"):
        secret_values.of_host([("KEY", "", "wandb")], "ann", (str(tmp_path / "store"),))
