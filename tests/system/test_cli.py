"""dlroverctl against a real daemon and real agents."""

import getpass
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from dlroverd.client import Client
from tests.system.fleet import DLROVERCTL, SCRIPTS, Fleet, dlroverctl, gang, pids, until_none

Fleets = Callable[..., Fleet]
STEPS = str(SCRIPTS / "steps.py")


@contextmanager
def running(here: Fleet, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Have dlroverctl run beside the test."""
    process = subprocess.Popen(
        [*DLROVERCTL, *words],
        env={**os.environ, "DLROVERD_ADDRESS": here.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_job_across_three_nodes_is_shown_by_every_command(fleet: Fleets) -> None:
    here = fleet(nodes=3, slots=2)
    job = here.submit("--nnodes", "3", "--nproc-per-node", "2", "--name", "wide", STEPS)
    here.until_stepping(job)

    nodes = here.json("node", "list")
    assert (nodes["version"], nodes["kind"]) == (1, "nodes")
    assert [(node["id"], node["state"], node["free"], node["jobs"]) for node in nodes["nodes"]] == [
        (f"n{number}", "ready", 0, [job]) for number in (1, 2, 3)
    ]
    status = here.json("job", "status", str(job))
    assert (status["id"], status["name"], status["state"], status["restarts"]) == (job, "wide", "running", 0)
    (world,) = status["roles"][0]["gangs"]
    assert (world["round"], world["world_size"]) == (1, 6)
    ranks = [(rank["rank"], rank["node"], rank["state"], rank["exit"]) for rank in world["ranks"]]
    assert ranks == [(rank, f"n{rank // 2 + 1}", "running", "") for rank in range(6)]
    assert status["incidents"] == []
    assert "spec" not in status

    assert here.json("jobs", "list")["jobs"][0]["id"] == job
    text = here.ctl("job", "status", str(job)).stdout
    assert text.startswith(f"Job {job} (wide) runs since ")
    assert "6 ranks on n1, n2, n3" in text
    assert yaml.safe_load(here.ctl("ps", "-o", "yaml").stdout)["jobs"][0]["name"] == "wide"
    header, row = here.ctl("ps").stdout.splitlines()
    assert header.split() == ["ID", "NAME", "STATE", "RANKS", "NODES", "RESTARTS", "AGE", "REASON"]
    assert row.split()[:6] == [str(job), "wide", "running", "6", "n1,n2,n3", "0"]
    assert "MASTER" in here.ctl("job", "status", str(job), "-o", "wide").stdout
    assert here.ctl("why", str(job)).stdout.startswith(f"Job {job} (wide) runs since ")
    assert [plugin["name"] for plugin in here.json("plugin", "list")["plugins"]] == ["fifo", "slow_link", "straggler"]

    waiting = here.submit(STEPS)
    assert "waits since" in here.ctl("why", str(waiting)).stdout
    here.ctl("job", "cancel", str(waiting), str(job))
    assert here.until_over(job).state == "cancelled"


def test_output_is_shown_by_rank_node_and_round(fleet: Fleets) -> None:
    here = fleet(nodes=2, slots=2)
    job = here.submit("--nnodes", "2", "--nproc-per-node", "2", STEPS, "--steps", "3")
    here.until_over(job)

    lines = here.ctl("logs", str(job)).stdout.splitlines()
    assert sorted(lines) == sorted(
        f"[n{rank // 2 + 1} rank{rank}] {text}"
        for rank in range(4)
        for text in (
            *(f"rank {rank} of 4 on n{rank // 2 + 1}", "step 1", "step 2", "step 3"),
            "the last line has no end",
        )
    )
    one = here.ctl("job", "logs", str(job), "--rank", "2", "--tail", "2").stdout
    assert one == "step 3\nthe last line has no end\n"
    on_n2 = here.ctl("logs", str(job), "--node", "n2", "--no-prefix", "-f").stdout
    assert sorted(line for line in on_n2.splitlines() if line.startswith("rank")) == [
        "rank 2 of 4 on n2",
        "rank 3 of 4 on n2",
    ]


def test_a_submission_is_answered_as_asked(fleet: Fleets, tmp_path: Path) -> None:
    here = fleet()
    file = tmp_path / "job.yaml"
    file.write_text(f"script: {STEPS}\nargs: [--steps, 2]\nname: of-a-file\npython: {sys.executable}\n")

    assert here.ctl("submit", str(file)).stdout == "submitted job 1 (of-a-file)\n"
    assert here.json("submit", str(file), "--name", "other") == {
        "version": 1,
        "kind": "submitted",
        "id": 2,
        "name": "other",
    }
    assert here.ctl("job", "submit", "-f", str(file), "--parsable", "--wait").stdout == "3\n"
    dry = here.json("submit", "-f", str(file), "--dry-run", "--nproc-per-node", "2")
    assert (dry["kind"], dry["spec"]["name"], dry["spec"]["roles"][0]["nproc_per_node"]) == ("dry_run", "of-a-file", 2)
    assert dry["spec"]["roles"][0]["argv"] == [sys.executable, "-u", STEPS, "--steps", "2"]
    assert [placed["nodes"] for placed in dry["placed"]] == [["n1"]]
    assert dry["environment"]["trainer"]["WORLD_SIZE"] == "2"
    refused = here.ctl("submit", "-f", str(file), "--dry-run", "--exclude", "n1", code=1)
    assert "asks for 1 node x 1 slot; 0 of the 1 node known would do; 1 is excluded." in refused.stderr
    shown = here.ctl("submit", "-f", str(file), "--dry-run").stdout
    assert "  trainer/0: n1\n" in shown
    assert "  MASTER_ADDR=n1\n" in shown
    assert "  unreachable_after 5s (the daemon's)\n" in shown
    assert [job.id for job in here.client.jobs()] == [1, 2, 3]


def test_exit_codes_say_how_it_ended(fleet: Fleets, tmp_path: Path) -> None:
    here = fleet()
    run = ("run", "--python", sys.executable)

    done = here.ctl(*run, STEPS, "--steps", "2")
    assert done.stdout.splitlines()[1:] == ["step 1", "step 2", "the last line has no end"]
    failed = here.ctl(*run, "--max-restarts", "0", STEPS, "--steps", "1", "--exit", "3", code=5)
    assert "job 2 failed: rank 0 on n1 ended with exit code 3; its last line was `the last" in failed.stderr
    gave_up = here.ctl(*run, "--max-restarts", "1", STEPS, "--steps", "1", "--exit", "3", code=6)
    assert "gave up: 1 restarts in 3600 s, and max_restarts is 1" in gave_up.stderr
    waited = here.ctl("submit", "--wait", "--max-restarts", "0", STEPS, "--steps", "1", "--fail", code=5)
    assert "raised ValueError" in waited.stderr
    for job, code in ((1, 0), (2, 5), (3, 6)):
        here.ctl("job", "wait", str(job), code=code)
    why = here.ctl("why", "4").stdout
    assert "First cause: rank 0 on n1 raised ValueError" in why
    assert "    ValueError: the loss is not a number" in why

    for verb in ("status", "wait"):
        assert "There is no job 77" in here.ctl("job", verb, "77", code=1).stderr
    assert "has already succeeded" in here.ctl("job", "cancel", "1", code=1).stderr
    nobody = dlroverctl("node", "list", "--address", f"unix://{tmp_path}/nobody.sock")
    assert (nobody.returncode, nobody.stdout) == (3, "")
    assert nobody.stderr.startswith("dlroverctl: Nothing answers at unix://")
    assert dlroverctl("--address", f"unix://{tmp_path}/nobody.sock", "node", "list").returncode == 3
    assert dlroverctl("node", "list", "--address", "tcp://x:1").returncode == 2


def test_events_can_be_chosen_and_followed(fleet: Fleets) -> None:
    here = fleet()
    job = here.submit(STEPS, "--steps", "100")
    with running(here, "event", "tail", "-f", "-o", "json", "--name", "job_moved") as tail:
        assert tail.stdout is not None
        lines = [json.loads(tail.stdout.readline()) for _ in range(4)]
    assert {(line["version"], line["kind"]) for line in lines} == {(1, "event")}
    moves = [line["event"] for line in lines]
    assert [json.loads(event["body"])["to"] for event in moves] == ["placing", "starting", "running", "succeeded"]
    assert [(event["kind"], event["job"]) for event in moves] == [*[("instant", job)] * 3, ("end", job)]
    names = [event["name"] for event in here.json("event", "list", "--job", str(job), "--since", "10m")["events"]]
    assert names[0] == "job_submitted"
    assert [event["name"] for event in here.json("events", "list", "--limit", "1")["events"]] == names[-1:]
    assert here.json("event", "list", "--since", "0s")["events"] == []
    unknown = here.ctl("event", "list", "--name", "JobMoved", code=1)
    assert "No event is named 'JobMoved'; did you mean job_moved?" in unknown.stderr

    views = list(here.client.events())
    whole = here.json("event", "list", "--name", "job_*", "--kind", "begin", "--severity", "info")["events"]
    assert [(event["name"], event["actor"], event["span"]) for event in whole] == [
        ("job_submitted", getpass.getuser(), f"job/{job}")
    ]
    of_node = here.json("event", "list", "--node", "n1", "--from", str(views[2].position))["events"]
    assert of_node
    assert {(event["node"], event["host"], event["log_id"]) for event in of_node} == {
        ("n1", socket.gethostname(), here.client.info().log_id)
    }
    told = here.ctl("event", "tail", "--from", "oldest", "-o", "cloudevents").stdout.splitlines()
    sent = [JSONFormat().read(CloudEvent, line.encode()) for line in told]
    assert [event.get_id() for event in sent] == [f"{view.log_id}/{view.position}/{view.index}" for view in views]
    assert [event.get_type() for event in sent] == [f"dlroverd.{view.name}.v1" for view in views]
    assert here.ctl("event", "tail", "--from", "now", "-o", "cloudevents").stdout == ""
    assert here.ctl("event", "list", "--limit", "1").stdout.splitlines()[0].split()[:2] == ["TIME", "SEVERITY"]
    beyond = here.ctl("event", "list", "--from", "99999", code=1)
    assert "so there is nothing from 99999 on" in beyond.stderr
    assert "is no position of the log" in here.ctl("event", "list", "--from", "0", code=2).stderr


def test_the_first_ctrl_c_detaches_and_the_second_cancels(fleet: Fleets) -> None:
    here = fleet()
    with running(here, "run", "--python", sys.executable, STEPS) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "rank 0 of 1 on n1\n"
        first.send_signal(signal.SIGINT)
        _, said = first.communicate(timeout=30)
    assert first.returncode == 130
    assert "job 1 goes on (`dlroverctl logs 1 -f`)" in said
    assert here.client.job(1).state == "running"

    with running(here, "run", "--python", sys.executable, STEPS) as second:
        assert second.stdout is not None
        assert second.stdout.readline() == "rank 0 of 1 on n1\n"
        assert second.stderr is not None
        second.send_signal(signal.SIGINT)
        while "goes on" not in second.stderr.readline():
            pass
        second.send_signal(signal.SIGINT)
        second.communicate(timeout=30)
    assert second.returncode == 130
    assert here.until_over(2).state == "cancelled"
    assert here.client.job(1).state == "running"


def test_a_restart_that_a_person_asks_for_costs_nothing(fleet: Fleets) -> None:
    here = fleet()
    job = here.submit("--nproc-per-node", "2", "--max-restarts", "0", STEPS)
    before = pids(here.until_stepping(job))
    here.ctl("job", "restart", str(job))
    after = here.until_stepping(job, 2)
    assert not set(before) & set(pids(after))
    assert (after.restarts, after.restarts_in_window) == (1, 0)
    here.until_job(job, lambda view: not view.incidents[0].open)
    phases = here.json("job", "status", str(job))["incidents"][0]["phases"]
    parts = [phases[name] for name in ("detect", "stop", "decide", "wait", "start", "load", "recompute", "unknown")]
    assert sum(parts) == pytest.approx(phases["total"], abs=1e-3)
    # It began again at step 0, so what it had done was done again before anything counted.
    spent = here.json("job", "goodput", str(job))["jobs"][0]
    assert spent["times"]["redone"] == pytest.approx(phases["recompute"], abs=1e-3)
    categories = [seconds for seconds in spent["times"].values() if seconds is not None]
    assert sum(categories) == pytest.approx(spent["wall_s"], abs=1e-3)
    assert 0 < spent["goodput"] < 1
    titles, shown, _, fleet_line = here.ctl("job", "goodput").stdout.splitlines()
    assert titles.split()[:5] == ["ID", "NAME", "STATE", "GOODPUT", "PRODUCTIVE"]
    assert re.match(rf"{job}  +steps  +running  +\d+\.\d %  +\S+  +-  ", shown), "checkpointing is not known"
    assert re.fullmatch(r"Nodes held by this job: \d+\.\d % of \d+\.\d node-seconds productive\.", fleet_line)
    why = here.ctl("why", str(job)).stdout
    assert re.search(r"Goodput \d+\.\d % of the \S+ since it had its nodes: productive ", why)


def test_what_ignores_term_is_killed_after_the_grace(fleet: Fleets) -> None:
    here = fleet()
    job = here.submit("--nproc-per-node", "2", "--shutdown-timeout", "1", STEPS, "--ignore-term")
    before = pids(here.until_stepping(job))
    here.ctl("job", "cancel", str(job))
    over = here.until_over(job)
    assert over.state == "cancelled"
    assert [rank.exit for rank in gang(over).ranks] == ["SIGKILL", "SIGKILL"]
    assert not [pid for pid in before if Path(f"/proc/{pid}").exists()]


def test_the_time_limit_ends_a_job_and_names_itself(fleet: Fleets) -> None:
    here = fleet()
    job = here.submit("--time-limit", "1s", "--shutdown-timeout", "1", STEPS)
    over = here.until_over(job)
    assert over.state == "failed"
    assert over.reason == "reached its time limit of 1 s"


def test_a_client_of_the_library_sees_what_dlroverctl_shows(fleet: Fleets) -> None:
    here = fleet()
    job = here.submit(STEPS, "--steps", "1")
    with Client(here.address) as client:
        last = list(client.watch(job))[-1]
        assert last.state == here.json("job", "status", str(job))["state"] == "succeeded"
        assert client.info().version == here.ctl("version").stdout.strip()
    assert until_none(here.root / "n1" / "ranks" / "j1-trainer-0-r1-rank0") == []
