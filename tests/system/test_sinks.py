"""One daemon with good sinks and bad ones under a job that holds secrets: who gets what, and what is hidden."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dlroverd.model.view import SinkView
from dlroverd.testing.plant import plant
from tests.kafka.brokers import Tansu
from tests.kafka.reading import read
from tests.system.daemon_process import spec
from tests.system.fleet import Fleet, Program, until
from tests.system.test_bad_plugins import HEAD, SINK
from tests.unit.plugins.test_webhook_sink import SECRET, Receiver, receiving

BAD = {
    "hangs": "time.sleep(3600)",
    "raises": "raise ValueError('no idea')",
    "dies": "os._exit(7)",
    "babbles": "[os.write(fd, b'x\\n') for fd in range(3, 9) if os.path.exists(f'/proc/self/fd/{fd}')]",
}
GOOD = ("file", "jobs", "webhook", "kafka")
TOPIC = "dlroverd.events"
CANARIES = ("canary-argv", "canary-env", "canary-exception", "canary-url", "canary-event", "tiger4")
SCRIPT = """
from dlroverd_train import events
events.install()
events.instant("login", {"step": 1, "registry": {"api_key": "canary-event"}})
raise RuntimeError("login failed: password=canary-exception at https://me:canary-url@registry/x with tiger4")
"""


class Site(Fleet):
    """A daemon with one node, four good sinks and four bad ones."""

    def __init__(self, root: Path, receiver: Receiver, broker: Tansu) -> None:
        super().__init__(root)
        self.broker = broker
        secret = root / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        hook = {"url": f"http://127.0.0.1:{receiver.server_port}/hook", "secret_file": str(secret)}
        config = {
            "state_dir": str(self.state_dir),
            "listen": [self.address],
            "redact": ["tiger4"],
            "sinks": [
                {"plugin": "file", "settings": {"path": str(root / "file")}},
                {
                    "plugin": "file",
                    "name": "jobs",
                    "settings": {"path": str(root / "jobs")},
                    "only": {"names": ["job_*"]},
                    "skip": {"names": ["job_reason_changed"]},
                },
                {"plugin": "webhook", "settings": hook},
                {"plugin": "kafka", "settings": {"servers": broker.servers, "create_topic": "4,1"}},
                *({"plugin": name} for name in BAD),
            ],
        }
        file = root / "daemon.yaml"
        file.write_text(json.dumps(config))
        self.daemon = Program("dlroverd.daemon.main", root / "daemon.log", "--config", str(file))

    def sinks(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self.json("sink", "list")["sinks"]}

    def until_delivered(self) -> None:
        until(
            lambda: [each.lag_records for each in self.client.sinks() if each.name in GOOD], lambda lags: not any(lags)
        )

    def written(self, sink: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.root / sink).read_text().splitlines()]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture(scope="module")
def broker() -> Iterator[Tansu]:
    with Tansu() as started:
        yield started


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver, broker: Tansu) -> Iterator[Site]:
    """The site, after its job has failed and the good sinks have had all there is."""
    root = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(root), prepend=os.pathsep)
        for name, body in BAD.items():
            plant(root, name, HEAD + SINK.format(body=body))
        site = Site(root, receiver, broker)
        site.start(1, 4)
    script = root / "script.py"
    script.write_text(SCRIPT)
    job = site.submit(
        *("--max-restarts", "0", "--env", "INNOCENT=canary-env", str(script), "--token=canary-argv", "--db-password"),
        "canary-argv",
    )
    assert site.until_over(job).state == "failed"
    said = {"user.login", "trainer.exception"}  # forwarded by the agent, perhaps after the job's end
    until(lambda: {event.name for event in site.client.events()}, said.issubset)
    site.until_delivered()
    yield site
    site.close()


def test_the_good_ones_get_all_that_they_want_whatever_the_bad_ones_do(here: Site, receiver: Receiver) -> None:
    here.until_delivered()
    events = list(here.client.events())
    assert [(each["position"], each["index"]) for each in here.written("file")] == [
        (e.position, e.index) for e in events
    ]
    assert receiver.taken == [(e.position, e.index) for e in events]
    wanted = [e.name for e in events if e.name.startswith("job_") and e.name != "job_reason_changed"]
    assert [each["name"] for each in here.written("jobs")] == wanted
    assert "job_submitted" in wanted


@pytest.mark.parametrize("reader", ["file", "jobs", "webhook", "kafka", "event list"])
def test_no_reader_sees_a_secret(here: Site, receiver: Receiver, reader: str) -> None:
    log = b"".join(path.read_bytes() for path in here.state_dir.glob("log.db*"))
    assert all(canary.encode() in log for canary in CANARIES), "the secrets were not planted"
    match reader:
        case "webhook":
            said = b"".join(receiver.bodies).decode()
        case "kafka":
            said = "".join(got.value for got in read(here.broker.servers, TOPIC))
        case "event list":
            said = here.ctl("event", "list", "-o", "json").stdout
        case _:
            said = (here.root / reader).read_text()
    assert "--token=***" in said
    assert not [canary for canary in CANARIES if canary in said]


def test_what_is_told_of_them(here: Site) -> None:
    # What hangs is given half a minute.
    seen = until(here.sinks, lambda sinks: all(sinks[name]["last_error"] for name in BAD if name != "hangs"))
    assert {name: each["lag_records"] for name, each in seen.items() if name in GOOD} == dict.fromkeys(GOOD, 0)
    assert all(each["lag_records"] > 0 and each["lag_s"] > 0 for name, each in seen.items() if name in BAD)
    assert "no idea" in seen["raises"]["last_error"]
    assert seen["file"]["delivered"] == len(here.written("file")) == here.sinks()["webhook"]["delivered"]
    assert seen["file"]["cursor"] == seen["file"]["newest"]
    plugins = {each["name"]: each for each in here.json("plugin", "list")["plugins"]}
    assert (plugins["file"]["lag_records"], plugins["fifo"]["lag_records"]) == (0, None)
    assert plugins["raises"]["lag_records"] > 0
    assert "LAST ERROR" in here.ctl("sink", "list").stdout


def test_events_are_sent_again_from_where_one_says(here: Site) -> None:
    here.until_delivered()
    before, newest = here.written("jobs"), here.sinks()["jobs"]["newest"]
    assert "Nobody can be asked" in here.ctl("sink", "replay", "jobs", "--from", "oldest", code=2).stderr
    done = here.ctl("sink", "replay", "jobs", "--from", "oldest", "--yes")
    assert f"{newest} records of the log (1 to {newest}) are delivered to jobs again." in done.stderr
    until(lambda: here.written("jobs"), lambda lines: len(lines) == 2 * len(before))
    assert here.written("jobs")[len(before) :] == before

    skipped = here.ctl("sink", "replay", "raises", "--from", "now", "--yes")
    assert "are never delivered to raises." in skipped.stderr
    assert here.sinks()["raises"]["lag_records"] == 0
    assert "goes on from" in here.ctl("sink", "replay", "raises", "--from", "now", "--yes", code=1).stderr


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("fiel", "--from", "now"), 1, "There is no sink fiel; see `dlroverctl sink list`."),
        (("file", "--from", "soon"), 2, "--from is 'soon'; name a position of the log, oldest or now."),
        (("file", "--from", "99999"), 1, "The log holds records 1 to"),
    ],
)
def test_where_a_sink_cannot_go_on(here: Site, words: tuple[str, ...], code: int, sentence: str) -> None:
    assert sentence in here.ctl("sink", "replay", *words, "--yes", code=code).stderr


BRITTLE = """
        if os.path.exists({broken!r}): raise OSError('it is broken')
        import json
        with open({taken!r}, 'a') as file:
            for e in batch: print(json.dumps([e.position, e.index, e.name, e.body]), file=file)
"""


def test_a_sink_behind_retention_is_told_and_is_moved_once_by_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    broken, taken = tmp_path / "broken", tmp_path / "taken"
    plant(tmp_path, "brittle", HEAD + SINK.format(body=BRITTLE.format(broken=str(broken), taken=str(taken))))
    store = {"snapshot_every": 5, "keep_records": 10, "keep_for_sinks": 10}
    here = Fleet(tmp_path, daemon={"sinks": [{"plugin": "brittle"}], "store": store})

    def sink_when(met: Callable[[SinkView], bool]) -> SinkView:
        return until(lambda: here.client.sinks()[0], met)

    def had() -> list[list[Any]]:
        return [json.loads(line) for line in taken.read_text().splitlines()]

    try:
        here.start(0, 0)
        here.client.submit(spec("first"))
        last = sink_when(lambda sink: sink.delivered > 0 and not sink.lag_records).cursor
        before = had()
        broken.touch()
        for number in range(20):
            here.client.submit(spec(f"later-{number}"))
        sink_when(lambda sink: sink.oldest > last + 1 and not sink.room)
        here.daemon.stop(signal.SIGKILL)
        broken.unlink()
        here.daemon.start()

        sink = sink_when(lambda sink: not sink.lag_records)
        gap, *rest = had()[len(before) :]
        held = list(here.client.events())
        end, newest = held[0].position - 1, held[-1].position
        assert gap[:3] == [end, -1, "log_gap"]
        assert json.loads(gap[3]) == {"from": last + 1, "to": end, "count_of_records": end - last}
        assert rest == [[event.position, event.index, event.name, event.body] for event in held]
        assert sink.lost == end - last > 0

        here.client.replay_sink("brittle", newest, "again")
        again = [*had(), *(each for each in rest if each[0] == newest)]
        until(had, lambda seen: seen == again)
        sink_when(lambda sink: not sink.lag_records)
        here.daemon.stop(signal.SIGKILL)
        here.daemon.start()
        here.client.replay_sink("brittle", newest, "again")
        here.client.submit(spec("last"))
        until(lambda: had()[len(again) :], bool)
        assert min(position for position, *_ in had()[len(again) :]) > newest
    finally:
        here.close()
