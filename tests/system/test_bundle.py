"""`job bundle` of a real job: all of it is there, a node that is away is named, and no secret of the job's is in it."""

import json
import os
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.system.fleet import Fleet

CANARIES = {
    "API_TOKEN": "canary-token-1f0c",
    "PLAIN_NAME": "canary-plain-77aa",
    "QUOTED": 'canary "quoted" \\ 5b',
}
SECRET = "canary-secret-e2"
ARGUMENT = "canary-argument-9d"
SAYS_ALL = """
import os, sys, time
print("step 1", dict(os.environ), sys.argv, flush=True)
if os.environ["RANK"] == "1":
    raise ValueError(f"no access with {os.environ['PLAIN_NAME']}")
time.sleep(60)
"""


def test_a_bundle_has_it_all_but_secrets_and_says_what_is_missing(fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    here = fleet(nodes=2, slots=2, limits={"unreachable_after": "1s"})
    (tmp_path / "says_all.py").write_text(SAYS_ALL)
    for name in ("note", "gone"):
        (tmp_path / name).write_text(f"{SECRET}\n")
    secrets = ("--secret", f"NOTE={tmp_path}/note", "--secret", f"OTHER={tmp_path}/gone")
    env = [word for name, value in CANARIES.items() for word in ("--env", f"{name}={value}")]
    flags = ("--nnodes", "2", "--max-restarts", "0", *env, *secrets)
    job = here.submit(*flags, str(tmp_path / "says_all.py"), "--api-key", ARGUMENT)
    assert here.until_over(job).state == "failed"
    (tmp_path / "gone").unlink()
    away = here.client.job(job).roles[0].gangs[0].ranks[0].node
    here.agents[away].stop(signal.SIGKILL)
    here.until_nodes(lambda nodes: any(node.id == away and node.state != "ready" for node in nodes))

    path = tmp_path / "b.tar.gz"
    done = here.ctl("job", "bundle", str(job), "-o", str(path))

    assert done.stdout.startswith(f"{path}: ")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "is there already" in here.ctl("job", "bundle", str(job), "-o", str(path), code=1).stderr
    here.ctl("job", "bundle", str(job), "-o", str(path), "--force")
    with tarfile.open(path) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    out = tmp_path / "out" / f"dlroverd-job-{job}"
    files = {str(file.relative_to(out)): file.read_text() for file in out.rglob("*") if file.is_file()}
    expected = {"why.txt", "why.json", "status.json", "spec.json", "events.jsonl", "timeline.txt", "versions.json"}
    assert expected | {"daemon.json", "checkpoints.json", "missing.txt", f"nodes/{away}.json"} <= files.keys()
    assert f"node {away} is unreachable" in files["missing.txt"]
    assert "secret OTHER: it cannot be read here" in files["missing.txt"]
    assert "secret NOTE" not in files["missing.txt"]
    assert "First cause: rank 1 on " in files["why.txt"]
    (failed,) = (text for name, text in files.items() if name.startswith("output/round-1/trainer-0-rank-1-"))
    assert "ValueError: no access with ***" in failed
    events = [json.loads(line) for line in files["events.jsonl"].splitlines()]
    assert events[0]["name"] == "job_submitted"
    assert json.loads(files["versions.json"])["agents"].keys() == set(here.agents)
    assert json.loads(files["spec.json"])["roles"][0]["env"]["PLAIN_NAME"] == "***"
    quoted = CANARIES["QUOTED"]
    for name, text in files.items():
        for canary in (*CANARIES.values(), ARGUMENT, SECRET, json.dumps(quoted)[1:-1], repr(quoted)[1:-1]):
            assert canary not in text, f"{canary} is in {name}"
    assert not [file for file in os.listdir(tmp_path) if file.endswith(".part")]
