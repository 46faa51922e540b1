"""Filling in a job where it is submitted: nothing is left to be looked up, and what is missing is named."""

# ruff: noqa: E501 (whole sentences are asserted, one case a line)

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from dlroverd.config import yaml_source
from dlroverd.config.document import ConfigError
from dlroverd.config.jobfile import draft
from dlroverd.config.resolve import Submitter, inherited_environment, resolve, visible_gpus
from dlroverd.model.job import JobSpec, ProgressFrom, Resources, User


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A submitter's home: a script, a virtual environment, and a PATH with a Python and a tool in it."""
    (tmp_path / "train.py").write_text("print(1)\n")
    for program in ("venv/bin/python", "bin/python3", "bin/tool"):
        path = tmp_path / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    return tmp_path


def submitter(host: Path, environ: Mapping[str, str] | None = None, gpus: int = 0) -> Submitter:
    given = {"PATH": f"{host}/bin", **(environ or {})}
    return Submitter(cwd=str(host), environ=given, user=User(uid=7, gid=8, name="ann"), cpus=3, gpus=gpus)


def resolved(host: Path, text: str, environ: Mapping[str, str] | None = None, gpus: int = 0) -> JobSpec:
    return resolve(draft(yaml_source.parse(text.encode(), "job.yaml")), submitter(host, environ, gpus))


def test_a_short_job_becomes_a_whole_one(host: Path) -> None:
    spec = resolved(host, "script: train.py\nargs: [--lr, 3e-4]\nnnodes: 2:4\nnproc_per_node: 8\n")
    role = spec.roles[0]
    assert (spec.name, spec.user.name, role.name, role.cwd) == ("train", "ann", "trainer", str(host))
    assert role.argv == (f"{host}/bin/python3", "-u", "train.py", "--lr", "3e-4")
    assert (role.nodes_min, role.nodes_max, role.nproc_per_node) == (2, 4, 8)
    assert spec == JobSpec(name="train", user=spec.user, roles=(role,))  # all else is the model's default


def test_every_key_reaches_the_spec(host: Path) -> None:
    spec = resolved(
        host,
        "name: n\nrun_id: r\nmax_restarts: 9\nrestart_window: 1m\ntime_limit: 2m\nstart_timeout: 3m\nqueue_timeout: 4m\n"
        "restart_grace: 5s\ncancel_grace: 6s\nprogress_pattern: 'x(.)'\nprogress: auto\nallow_mismatch: true\n"
        "roles:\n  ps: {command: tool, args: [a], gangs: 2, restart_with: [ps],\n"
        "    resources: {memory: 2GiB, tasks: 99, cpus: '0-3,8', numa_nodes: 1, oom_score_adjust: 7}}\n"
        "  trainer: {module: a.b, nnodes: 4, node_unit: 2}\n",
    )
    assert spec == JobSpec(
        name="n",
        user=User(uid=7, gid=8, name="ann"),
        roles=spec.roles,
        run_id="r",
        max_restarts=9,
        restart_window_s=60.0,
        time_limit_s=120.0,
        start_timeout_s=180.0,
        queue_timeout_s=240.0,
        restart_grace_s=5.0,
        cancel_grace_s=6.0,
        progress_pattern="x(.)",
        progress=ProgressFrom.AUTO,
        allow_mismatch=True,
    )
    ps, trainer = spec.roles
    assert trainer.resources == Resources()
    assert ps.resources == Resources(
        memory_bytes=2 << 30, tasks_max=99, cpus="0-3,8", numa_nodes="1", oom_score_adjust=7
    )
    assert (ps.name, ps.argv, ps.gangs, ps.restart_with) == ("ps", (f"{host}/bin/tool", "a"), 2, ("ps",))
    assert (trainer.argv[1:], trainer.nodes_min, trainer.node_unit) == (("-u", "-m", "a.b"), 4, 2)


@pytest.mark.parametrize(
    ("text", "environ", "argv"),
    [
        ("script: train.py\n", {"VIRTUAL_ENV": "{host}/venv"}, ("{host}/venv/bin/python", "-u", "train.py")),
        ("script: train.py\npython: ./venv/bin/python\n", {}, ("{host}/venv/bin/python", "-u", "train.py")),
        ("script: train.py\npython: python3\n", {}, ("{host}/bin/python3", "-u", "train.py")),
        ("command: ./bin/tool\nargs: [x y]\n", {}, ("{host}/bin/tool", "x y")),
        ("command: tool\nenv: {PATH: '{host}/bin:/usr/bin'}\n", {"PATH": ""}, ("{host}/bin/tool",)),
        ("script: ../train.py\nworkdir: venv\n", {}, ("{host}/bin/python3", "-u", "../train.py")),
        ("script: '{host}/train.py'\n", {}, ("{host}/bin/python3", "-u", "{host}/train.py")),
    ],
)
def test_the_program_is_absolute(host: Path, text: str, environ: dict[str, str], argv: tuple[str, ...]) -> None:
    def at(words: str) -> str:
        return words.replace("{host}", str(host))

    spec = resolved(host, at(text), {name: at(value) for name, value in environ.items()})
    assert spec.roles[0].argv == tuple(map(at, argv))
    assert sys.executable not in spec.roles[0].argv


def test_the_environment_dlroverctl_is_in_is_meant_where_no_other_is(host: Path) -> None:
    here = dataclasses.replace(submitter(host), python=f"{host}/venv/bin/python")
    elsewhere = dataclasses.replace(here, environ={"VIRTUAL_ENV": str(host)})
    plain = draft(yaml_source.parse(b"script: train.py\n", "job.yaml"))
    named = draft(yaml_source.parse(b"script: train.py\npython: python3\n", "job.yaml"))
    (host / "bin" / "python").symlink_to("python3")
    assert resolve(plain, here).roles[0].argv[0] == f"{host}/venv/bin/python"
    assert resolve(plain, elsewhere).roles[0].argv[0] == f"{host}/bin/python"
    assert resolve(named, here).roles[0].argv[0] == f"{host}/bin/python3"
    assert Submitter.current().python == sys.executable  # these tests run in one, and torch is in it


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "job.yaml: does not say what to run; give one script, module or command"),
        ("script: train.py\nmodule: a\n", "job.yaml: says to run script and module; give one script, module or command"),
        ("roles:\n  ps: {nnodes: 1}\n", "job.yaml:2:3: roles.ps: does not say what to run; give one script, module or command"),
        ("name: a\nscript: tran.py\n", "job.yaml:2:1: script: tran.py does not exist in {host}; correct the path or set workdir"),
        ("script: /no/t.py\n", "job.yaml:1:1: script: /no/t.py does not exist; correct the path or set workdir"),
        ("script: bin\n", "job.yaml:1:1: script: bin is not a file; name the script itself"),
        ("module: a/b.py\n", "job.yaml:1:1: module: must be a module's dotted name such as pkg.train, not 'a/b.py'"),
        ("command: nothing\n", "job.yaml:1:1: command: nothing was not found in PATH; correct it or give its path"),
        ("command: ./nothing\n", "job.yaml:1:1: command: ./nothing does not exist in {host}; correct it or give its path"),
        ("command: tool --x\n", "job.yaml:1:1: command: tool --x was not found in PATH; put its arguments into args"),
        ("command: ./plain\n", "job.yaml:1:1: command: ./plain is not executable; run chmod +x on it, or name its interpreter first"),
        ("command: tool\npython: python3\n", "job.yaml:2:1: python: is for a script or a module, and this is a command; drop it"),
        ("script: train.py\npython: ./python9\n", "job.yaml:2:1: python: ./python9 does not exist in {host}; correct it or give its path"),
        ("script: train.py\nenv: {PATH: /no}\n", "job.yaml: no Python interpreter was found (python3 or python in PATH); name one with python"),
        ("script: train.py\nenv: {VIRTUAL_ENV: /no}\n", "job.yaml: no Python interpreter was found (/no/bin/python); name one with python"),
        ("script: train.py\nworkdir: nowhere\n", "job.yaml:2:1: workdir: {host}/nowhere is not a directory; create it or correct the path"),
        ("script: train.py\nenv:\n  HF_TOKEN:\n", "job.yaml:3:3: env.HF_TOKEN: HF_TOKEN has no value, and is not set where you submit from; set it or give it a value"),
        ("script: train.py\nnproc_per_node: gpu\n", "job.yaml:2:1: nproc_per_node: gpu counts the NVIDIA devices of the host you submit from, and it has none; give a number"),
    ],
)  # fmt: skip
def test_what_is_not_there_gets_one_sentence(host: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolved(host, text)
    assert caught.value.sentences == (sentence.replace("{host}", str(host)),)


def test_counted_words_are_the_submitters_hosts(host: Path) -> None:
    def nproc(word: str, gpus: int) -> int:
        return resolved(host, f"command: tool\nnproc_per_node: {word}\n", gpus=gpus).roles[0].nproc_per_node

    assert [nproc("cpu", 4), nproc("gpu", 4), nproc("auto", 4), nproc("auto", 0)] == [3, 4, 4, 3]


def test_only_the_listed_environment_goes_along_and_no_secret(host: Path) -> None:
    mine = {
        "HOME": "/h", "LC_ALL": "C", "NCCL_DEBUG": "INFO", "TORCH_HOME": "/t", "WANDB_MODE": "offline",
        "WANDB_API_KEY": "s", "HF_TOKEN": "s", "TF_SECRET": "s", "HF_PASSWORD": "s", "SSH_AUTH_SOCK": "/s", "FOO": "1",
    }  # fmt: skip
    assert set(inherited_environment(mine)) == {"HOME", "LC_ALL", "NCCL_DEBUG", "TORCH_HOME", "WANDB_MODE"}
    env = resolved(host, "command: tool\nenv: {NCCL_DEBUG: WARN, HF_TOKEN: , NEW: 1}\n", mine).roles[0].env
    assert (env["NCCL_DEBUG"], env["HF_TOKEN"], env["NEW"], env["HOME"]) == ("WARN", "s", "1", "/h")
    assert "WANDB_API_KEY" not in env
    assert "FOO" not in env


def test_visible_gpus_follow_cuda(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"0000:0{number}:00.0").mkdir()

    def count(value: str | None) -> int:
        return visible_gpus({} if value is None else {"CUDA_VISIBLE_DEVICES": value}, str(tmp_path))

    assert [count(value) for value in (None, "", "0", "2,3", "0,-1,1", "0,9,1", "GPU-1,GPU-2")] == [4, 0, 1, 2, 1, 1, 2]
    assert visible_gpus({}, str(tmp_path / "none")) == 0


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("module: pkg.train_ViT\n", "train-vit"),
        ("command: ./bin/tool\n", "tool"),
        ("script: '{host}/train.py'\n", "train"),
        ("name: x9\ncommand: tool\n", "x9"),
    ],
)
def test_a_job_without_a_name_is_called_after_what_it_runs(host: Path, text: str, name: str) -> None:
    assert resolved(host, text.replace("{host}", str(host))).name == name


def test_the_surroundings_of_this_process_are_taken_as_they_are(tmp_path: Path) -> None:
    code = (
        "import json; from dlroverd.config.resolve import Submitter; s = Submitter.current();"
        "print(json.dumps([s.cwd, s.environ['MARK'], s.user.uid, s.cpus]))"
    )
    root = Path(__file__).parents[3]
    environ = {**os.environ, "MARK": "m", "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout) == [str(tmp_path), "m", os.getuid(), len(os.sched_getaffinity(0))]


def test_where_a_secret_is_becomes_absolute_and_its_value_is_not_looked_at(host: Path) -> None:
    text = "script: train.py\nsecrets: {A: {file: ~/a}, B: {file: b}, C: {credential: wandb}}\n"
    (role,) = resolved(host, text, {"HOME": "/home/ann"}).roles
    assert [each.file or each.credential for each in role.secrets] == ["/home/ann/a", f"{host}/b", "wandb"]
    with pytest.raises(ConfigError, match=r"secrets: A is in env too, and what is there is in the log|A is in env too"):
        resolved(host, "script: train.py\nenv: {A: 1}\nsecrets: {A: {file: /a}}\n")
