"""A configuration that is read again: a broken one changes nothing, and what cannot be changed now is named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dlroverd.config.daemon import DaemonConfig, load_daemon_config
from dlroverd.config.roles import RolesConfig
from dlroverd.daemon.reload import Reload
from dlroverd.model.input import TopologySet
from dlroverd.model.limits import Limits


class Daemon:
    """What a reload tells."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.limits: Limits | None = None
        self.topology: TopologySet | None = None
        self.roles: RolesConfig | None = None
        self.write({})
        self.reload = Reload(self.config(), self.config, DaemonConfig.core_limits, self.take)

    def config(self) -> DaemonConfig:
        return load_daemon_config(str(self.file))

    def write(self, content: dict[str, object]) -> None:
        self.file.write_text(json.dumps(content))

    def take(self, limits: Limits, topology: TopologySet, roles: RolesConfig) -> None:
        self.limits, self.topology, self.roles = limits, topology, roles

    def said(self) -> str:
        with capture_logs() as lines:
            self.reload.read()
        return " ".join(f"{line['event']} {line.get('needs_a_restart', '')}" for line in lines)


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon(tmp_path / "daemon.yaml")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"limit": {}}, "limit: unknown key; did you mean limits?"),
        ({"limits": {"lost_after": "1s"}}, "must be longer than"),
        ({"topology": "/no/such/file"}, "/no/such/file"),
    ],
)
def test_one_that_cannot_be_used_changes_nothing_and_says_so(
    daemon: Daemon, content: dict[str, object], why: str
) -> None:
    daemon.write({"scheduling": {"spare_nodes": 1}, **content})
    said = daemon.said()
    assert "was not taken, and the one before stays in force: " in said
    assert why in said
    assert daemon.limits is None


def test_what_is_decided_by_counts_and_the_rest_needs_a_restart(daemon: Daemon) -> None:
    changed = {"scheduling": {"spare_nodes": 1}, "limits": {"unreachable_after": "6s", "evidence": "2s"}}
    daemon.write({**changed, "roles": {"viewer": ["ann"]}, "plugins": ["fifo", "none"]})
    for _ in range(2):
        assert "plugins, limits.unreachable_after" in daemon.said()
        assert daemon.limits == replace(Limits(), spare_nodes=1, evidence_s=2.0)
        assert daemon.roles == RolesConfig(viewer=["ann"])
    daemon.write({})
    assert daemon.said().endswith("again nothing")
    assert daemon.limits == Limits()
