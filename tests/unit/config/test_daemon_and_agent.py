"""The daemon's and the agent's configuration, and the limits listed from them."""

# ruff: noqa: E501 (whole sentences are asserted, one case a line)

import dataclasses
import socket
from pathlib import Path

import pytest
import yaml

from dlroverd.config import timeouts as timeouts_module
from dlroverd.config.agent import AgentConfig, load_agent_config
from dlroverd.config.daemon import DaemonConfig, LimitsConfig, load_daemon_config
from dlroverd.config.document import ConfigError
from dlroverd.config.durations import parse_duration
from dlroverd.config.jobfile import JobFile
from dlroverd.config.schema import Section, settings
from dlroverd.config.sinks import SelectionConfig
from dlroverd.config.tls import DaemonTlsConfig, TlsConfig
from dlroverd.model.limits import AutomationLimits, Limits


def daemon_error(tmp_path: Path, text: str) -> str:
    path = tmp_path / "d.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_daemon_config(str(path))
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_defaults_are_the_models() -> None:
    assert DaemonConfig().core_limits() == Limits()
    elsewhere = {
        "root_jobs",
        "signals",
        "quotas",
        "preemption",
        "preempt_cooldown_s",
        "spare_nodes",
        "automation",
        "checks",
        "hangs",
        "diagnosis",
    }
    assert {f"{key}_s" if key != "max_jobs" else key for key in LimitsConfig.model_fields} == {
        field.name for field in dataclasses.fields(Limits) if field.name not in elsewhere
    }


def test_how_far_automation_may_go_is_read(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text("automation: {quarantine: advise, window: 2h, nodes: 1, ready_share: 0.5}\n")
    automation = load_daemon_config(str(path)).core_limits().automation
    assert (automation.quarantine.value, automation.window_s, automation.nodes) == ("advise", 7200.0, 1)
    assert (automation.ready_share, automation.share) == (0.5, AutomationLimits().share)


@pytest.mark.parametrize("line", ["quarantine: maybe", "share: 1.5", "ready_share: -1", "nodes: -1", "window: 0s"])
def test_what_automation_may_not_be_is_refused(line: str, tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(f"automation: {{{line}}}\n")
    with pytest.raises(ConfigError, match=line.partition(":")[0]):
        load_daemon_config(str(path))


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(
        "state_dir: /srv/dlroverd\n"
        "listen: ['unix:///run/a.sock']\n"
        "limits: {lost_after: 20s, max_jobs: 5}\n"
        "plugins: [fifo]\n"
        "plugin_settings: {fifo: {depth: 3}}\n"
        "sinks:\n  - {plugin: file, settings: {path: /tmp/e}}\n  - {plugin: file, name: audit}\n"
        "store: {reserve: 1GiB}\n"
        "log: {level: debug, format: json}\n"
    )
    config = load_daemon_config(str(path))
    assert config.state_dir == "/srv/dlroverd"
    assert config.limits.to_model() == Limits(lost_after_s=20.0, max_jobs=5)
    assert [sink.label for sink in config.sinks] == ["file", "audit"]
    assert config.plugin_settings == {"fifo": {"depth": "3"}}
    assert config.store.reserve == 2**30


def test_which_events_a_sink_gets_is_read(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(
        "sinks:\n  - {plugin: file, start: 7, only: {names: ['job_*', trainer.save, 'user.*', '*'], jobs: [3, 'llama-*']}}\n"
    )
    (sink,) = load_daemon_config(str(path)).sinks
    assert (sink.start, sink.only.names[:2], sink.only.jobs) == ("7", ["job_*", "trainer.save"], ["3", "llama-*"])
    assert sink.skip == SelectionConfig()


def test_the_default_file_may_be_absent_and_a_named_one_may_not() -> None:
    assert load_daemon_config(None) == DaemonConfig()
    with pytest.raises(ConfigError, match=r"^/no/such.yaml: there is no such file; check the path$"):
        load_daemon_config("/no/such.yaml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("limts: {}\n", "d.yaml:1:1: limts: unknown key; did you mean limits?"),
        ("limits:\n  lost_after_s: 3\n", "d.yaml:2:3: limits.lost_after_s: unknown key; did you mean lost_after?"),
        ("limits:\n  placing: soon\n", "d.yaml:2:3: limits.placing: must be a duration such as 500ms, 5s, 10m, 1h30m or 7d, not 'soon'"),
        ("limits:\n  lost_after: 3s\n", "d.yaml:2:3: limits.lost_after: 3s must be longer than unreachable_after, which is 5s"),
        ("limits:\n  lost_after: 1h\n", "d.yaml:1:1: limits.unreachable_limit: 10m must be longer than lost_after, which is 1h"),
        ("limits:\n  unreachable_after: 0s\n", "d.yaml:2:3: limits.unreachable_after: must be more than 0"),
        ("limits:\n  job_retention: 30s\n", "d.yaml:2:3: limits.job_retention: 30s must be at least 10m: a client whose answer was lost may ask for its job again that long, and would be given a second one"),
        ("limits: 5s\n", "d.yaml:1:1: limits: must be a mapping of `key: value` lines, not '5s' (for example {lost_after: 15s})"),
        ("join_listen: tcp://0.0.0.0:7701\n", "d.yaml: join_listen is for a daemon that issues certificates: set ca_key under tls, or drop it"),
        ("listen: ['tcp://0.0.0.0:7000']\n", "d.yaml: listen has tcp://0.0.0.0:7000, and TCP needs mutual TLS: set tls: {ca: PATH, certificate: PATH, key: PATH}, or use unix:///path"),
        ("listen: ['tcp://0.0.0.0']\n", "d.yaml:1:10: listen.0: 'tcp://0.0.0.0' is no address; write tcp://HOST:PORT (in lower case, an IPv6 address in brackets), like tcp://gpu00:7700 or tcp://[::]:7700"),
        ("tls: {ca: /a, key: /k}\n", "d.yaml:1:1: tls.certificate: is missing; set it (for example /etc/dlroverd/tls/node.pem)"),
        ("tls: {ca: a, certificate: /c, key: /k}\n", "d.yaml:1:7: tls.ca: must be an absolute path, not 'a'"),
        ("listen: [run/a.sock]\n", "d.yaml:1:10: listen.0: 'run/a.sock' is no address; write unix:// and an absolute path, like unix:///run/dlroverd/s"),
        ("listen: []\n", "d.yaml:1:1: listen: must not be empty (for example [unix:///run/dlroverd/dlroverd.sock])"),
        ("listen: unix:///a\n", "d.yaml:1:1: listen: must be a list, as [a, b] or in lines that begin with '- ', not 'unix:///a' (for example [unix:///run/dlroverd/dlroverd.sock])"),
        ("state_dir: here\n", "d.yaml:1:1: state_dir: must be an absolute path, not 'here'"),
        ("log: {level: loud}\n", "d.yaml:1:7: log.level: must be 'debug', 'info', 'warning' or 'error', not 'loud'"),
        ("store:\n  snapshot_every: often\n", "d.yaml:2:3: store.snapshot_every: must be a whole number, not 'often' (for example 10000)"),
        ("store: {reserve: lots}\n", "d.yaml:1:9: store.reserve: must be a size such as 512KiB, 64MiB or 1GiB, not 'lots'"),
        ("sinks: [{plugin: a, name: ../x}]\n", "d.yaml:1:21: sinks.0.name: must be 1 to 63 letters, digits, '.', '_' and '-', with a letter or digit first, unlike '../x'"),
        ("sinks: [{plugin: a, start: 0}]\n", "d.yaml:1:21: sinks.0.start: must be oldest, now, or a position of the log from 1 on, not '0'"),
        ("sinks: [{plugin: a, only: {names: [job_mooved]}}]\n", "d.yaml:1:36: sinks.0.only.names.0: no event is named 'job_mooved'; did you mean job_moved?"),
        ("sinks: [{plugin: a, skip: {severity: loud}}]\n", "d.yaml:1:28: sinks.0.skip.severity: must be 'debug', 'info', 'warning', 'error' or 'critical', not 'loud'"),
        ("sinks: [{plugin: a, only: {kinds: [begin]}, skip: {kinds: [begin]}}]\n", "d.yaml:1:9: sinks.0: a skips all that it has only: leave one of them out"),
        ("redact: [a*]\n", "d.yaml:1:10: redact.0: must be a text of at least 3 characters, or one without spaces in which * is any text, not 'a*'"),
        ("sinks: [{name: a}]\n", "d.yaml:1:9: sinks.0.plugin: is missing; set it (for example file)"),
        ("scheduler: best\n", "d.yaml: scheduler names the plugin 'best', which plugins does not list; add it there"),
        ("plugins: [fifo, file]\nsinks: [{plugin: file}]\n", "d.yaml: two of plugins and sinks are named 'file'; drop one, or give a sink another name"),
        ("plugin_settings: {hello: {}}\n", "d.yaml: plugin_settings names the plugin 'hello', which plugins does not list; add it there"),
        ("sinks: [{plugin: a}, {plugin: a}]\n", "d.yaml: two of plugins and sinks are named 'a'; drop one, or give a sink another name"),
        ("plugins: [fifo, fifo]\n", "d.yaml: two of plugins and sinks are named 'fifo'; drop one, or give a sink another name"),
    ],
)  # fmt: skip
def test_a_wrong_daemon_file_gets_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    assert daemon_error(tmp_path, text) == sentence


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    assert len(daemon_error(tmp_path, "state_dir: x\nlog: {level: y}\nstore: {reserve: z}\n").splitlines()) == 3


def test_the_agent_is_named_after_its_host_and_finds_its_slots() -> None:
    config = AgentConfig()
    assert config.node == socket.gethostname()
    assert (config.slots, config.port_range) == (None, (20000, 29999))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("slots: 0\n", "a.yaml:1:1: slots: must be auto or a number of ranks from 1, not '0'"),
        ("slots: many\n", "a.yaml:1:1: slots: must be auto or a number of ranks from 1, not 'many'"),
        ("port_range: 80-90\n", "a.yaml:1:1: port_range: must be LOW-HIGH within 1024-65535, such as 20000-29999, not '80-90'"),
        ("port_range: 9000-2000\n", "a.yaml:1:1: port_range: must be LOW-HIGH within 1024-65535, such as 20000-29999, not '9000-2000'"),
        ("daemon: []\n", "a.yaml:1:1: daemon: must not be empty (for example [unix:///run/dlroverd/dlroverd.sock])"),
        ("node: ''\n", "a.yaml:1:1: node: must not be empty (for example gpu07)"),
        ("deamon: []\n", "a.yaml:1:1: deamon: unknown key; did you mean daemon?"),
        ("daemon: ['tcp://[fd00::7]:7700']\n", "a.yaml: daemon has tcp://[fd00::7]:7700, and TCP needs mutual TLS: set tls: {ca: PATH, certificate: PATH, key: PATH}, or use unix:///path"),
        ("peer_listen: tcp://10.0.0.7:7711\n", "a.yaml: peer_listen has tcp://10.0.0.7:7711, and TCP needs mutual TLS: set tls: {ca: PATH, certificate: PATH, key: PATH}, or use unix:///path"),
        ("peer_listen: 7711\n", "a.yaml:1:1: peer_listen: '7711' is no address; write tcp://HOST:PORT (in lower case, an IPv6 address in brackets), like tcp://gpu00:7700 or tcp://[::]:7700"),
        ("fleet: Main\n", "a.yaml:1:1: fleet: must be 1 to 16 of a-z and 0-9, for it is part of units' names, unlike 'Main'"),
        ("launcher: docker\n", "a.yaml:1:1: launcher: must be 'auto', 'systemd' or 'process', not 'docker'"),
    ],
)  # fmt: skip
def test_a_wrong_agent_file_gets_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_agent_config(str(path))
    assert str(caught.value).replace(f"{tmp_path}/", "") == sentence


def test_an_agents_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("node: n7\nslots: 8\nport_range: 21000-21999\nlog_retention: 1d\n")
    config = load_agent_config(str(path))
    assert (config.node, config.slots, config.port_range, config.log_retention) == ("n7", 8, (21000, 21999), 86400.0)


TLS = TlsConfig(ca="/tls/ca.pem", certificate="/tls/n1.pem", key="/tls/n1.key")


@pytest.mark.parametrize(
    ("config", "address"),
    [
        (AgentConfig(), ""),
        (AgentConfig(tls=TLS), "tcp://[::]:7711"),
        (AgentConfig(tls=TLS, peer_listen="none"), ""),
        (AgentConfig(tls=TLS, peer_listen="tcp://10.0.0.7:99"), "tcp://10.0.0.7:99"),
    ],
)
def test_agents_of_other_nodes_are_served_where_there_is_tls(config: AgentConfig, address: str) -> None:
    assert config.peer_address == address


def test_options_win_over_the_file_and_are_named_where_they_are_wrong(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text("state_dir: /a\nlisten: ['unix:///run/a.sock']\n")
    config = load_daemon_config(str(path), {"listen": ["unix:///run/b.sock"]})
    assert (config.state_dir, config.listen) == ("/a", ["unix:///run/b.sock"])
    with pytest.raises(ConfigError, match=r"^--listen\.0: 'b.sock' is no address"):
        load_daemon_config(str(path), {"listen": ["b.sock"]})


@pytest.mark.parametrize(
    "section",
    [
        DaemonConfig(),
        DaemonConfig(tls=DaemonTlsConfig(**TLS.model_dump()), listen=["tcp://[::]:7700"]),
        AgentConfig(node="n1", slots=4),
    ],
)
def test_what_is_shown_can_be_read_back(section: Section, tmp_path: Path) -> None:
    path = tmp_path / "shown.yaml"
    path.write_text(yaml.safe_dump(section.model_dump(mode="json")))
    load = load_daemon_config if isinstance(section, DaemonConfig) else load_agent_config
    assert load(str(path)) == section


def test_every_setting_has_a_description_and_an_example() -> None:
    for section in (DaemonConfig(), AgentConfig(), JobFile()):
        for entry in settings(section):
            assert entry.field.description, entry.key
            assert entry.field.examples, entry.key


def test_no_limit_can_be_forgotten() -> None:
    sections: dict[str, Section] = {"d": DaemonConfig(), "a": AgentConfig(), "job file": JobFile()}
    listed = {(timeout.file, timeout.key) for timeout in timeouts_module.timeouts(sections)}
    for file, section in sections.items():
        for entry in settings(section):
            is_duration = any(getattr(marker, "func", None) is parse_duration for marker in entry.field.metadata)
            if is_duration or entry.key.startswith("limits."):
                assert (file, entry.key) in listed, f"{entry.key} does not say what happens when it fires"
    assert len(listed) >= len(dataclasses.fields(Limits)) + 6


def test_a_limit_says_its_value_and_whether_it_is_set(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text("limits: {lost_after: 20s}\n")
    rows = {row.key: row for row in timeouts_module.timeouts({"d.yaml": load_daemon_config(str(path))})}
    lost, placing = rows["limits.lost_after"], rows["limits.placing"]
    assert (lost.value, lost.file, lost.is_set) == ("20s", "d.yaml", True)
    assert (placing.value, placing.is_set, placing.fires) == ("2s", False, "the built-in rule places the job instead")


def test_a_limit_between_two_others_fits_in_where_it_is_not_set(tmp_path: Path) -> None:
    file = tmp_path / "d.yaml"
    file.write_text("limits: {unreachable_after: 20s, lost_after: 30s}")
    assert load_daemon_config(str(file)).limits.to_model().lost_by_peers_s == 20
    file.write_text("limits: {unreachable_after: 20s, lost_after: 30s, lost_by_peers: 8s}")
    with pytest.raises(ConfigError, match="lost_by_peers: 8s must be longer than unreachable_after, which is 20s"):
        load_daemon_config(str(file))
