"""The command line of `run` and `submit`."""

# ruff: noqa: E501 (whole sentences are asserted, one case a line)

import shlex

import pytest

from dlroverd.config import yaml_source
from dlroverd.config.display import Display
from dlroverd.config.document import ConfigError
from dlroverd.config.flags import OWN_FLAGS, TORCHRUN_FLAGS, Effect, Flag
from dlroverd.config.jobfile import draft
from dlroverd.config.run_flags import over, parse, usage
from dlroverd.model.job import ProgressFrom

WAIT = Flag(names=("-w", "--wait"), effect=Effect.OPTION, key="wait", help="wait for the end")
OUTPUT = Flag(names=("-o",), metavar="FORMAT", effect=Effect.OPTION, key="output", help="how to print")


def data(line: str) -> dict[str, object]:
    return parse(shlex.split(line)).document.data


def refusal(line: str) -> str:
    with pytest.raises(ConfigError) as caught:
        draft(parse(shlex.split(line)).document)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("train.py --lr 3e-4", {"script": "train.py", "args": ["--lr", "3e-4"]}),
        ("-- train.py -- -x", {"script": "train.py", "args": ["--", "-x"]}),
        ("train.py --nnodes 7", {"script": "train.py", "args": ["--nnodes", "7"]}),
        ("-m pkg.train -m x", {"module": "pkg.train", "args": ["-m", "x"]}),
        ("./train.sh a", {"command": "./train.sh", "args": ["a"]}),
        ("--no-python train.py", {"command": "train.py", "args": []}),
        ("--no_python prog", {"command": "prog", "args": []}),
        ("--run-path train", {"script": "train", "args": []}),
        ("--run-path --no-python train", {"script": "train", "args": []}),
        ("torchrun train a", {"script": "train", "args": ["a"]}),
        ("torchrun --no-python train", {"command": "train", "args": []}),
        ("-- torchrun -m pkg", {"module": "pkg", "args": []}),
        ("/env/bin/torchrun x.py", {"script": "x.py", "args": [], "python": "/env/bin/python3"}),
        ("python -m torch.distributed.run x.py", {"script": "x.py", "args": [], "python": "python"}),
        ("--name a python3.11 -u -m torch.distributed.run --nnodes 2 x.py", {"name": "a", "nnodes": "2", "script": "x.py", "args": [], "python": "python3.11"}),
        ("--python /a/python torchrun x.py", {"python": "/a/python", "script": "x.py", "args": []}),
        ("python x.py a", {"script": "x.py", "args": ["a"], "python": "python"}),
        ("/e/bin/python3 -u x.py", {"script": "x.py", "args": [], "python": "/e/bin/python3"}),
        ("python -m mod a", {"module": "mod", "args": ["a"], "python": "python"}),
        ("python -c pass", {"command": "python", "args": ["-c", "pass"]}),
        ("python", {"command": "python", "args": []}),
    ],
)  # fmt: skip
def test_what_runs(line: str, program: dict[str, object]) -> None:
    assert data(line) == program


def test_a_switch_of_the_job_is_set_by_its_name_alone() -> None:
    assert draft(parse(["--allow-mismatch", "x.py"]).document).job.allow_mismatch
    assert not draft(parse(["x.py", "--allow-mismatch"]).document).job.allow_mismatch
    assert refusal("--allow-mismatch=no x.py") == "--allow-mismatch: takes no value; write it alone"


@pytest.mark.parametrize(
    "line",
    [
        "--nnodes 2:4 --nproc-per-node 8 --max-restarts 5 --rdzv-id 7 --role worker x.py",
        "--nnodes=2:4 --nproc_per_node=8 --max_restarts=5 --rdzv_id=7 --role=worker x.py",
        "-N 2:4 --nproc-per-node=8 --max_restarts 5 --rdzv-id=7 torchrun --role worker x.py",
        "-N2:4 --nnodes 2:4 torchrun --nproc_per_node 8 --max-restarts 1 --max-restarts 5 --rdzv_id 7 --role worker -- x.py",
    ],
)
def test_one_job_in_several_spellings(line: str) -> None:
    job = draft(parse(shlex.split(line)).document).job
    assert (job.nnodes, job.nproc_per_node, job.max_restarts, job.run_id, job.role) == ((2, 4), 8, 5, "7", "worker")


def test_our_own_flags() -> None:
    job = draft(
        parse(
            shlex.split(
                "--name a --env A=b=c --env HF_TOKEN --env A=d --python /p --workdir /w --time-limit 2h --node-unit 2 "
                "--nnodes 2 --restart-window 10m --progress-pattern 'at (\\d+)' --shutdown-timeout 12 "
                "--progress auto x.py"
            )
        ).document
    ).job
    assert (job.name, job.env, job.python, job.workdir) == ("a", {"A": "d", "HF_TOKEN": None}, "/p", "/w")
    assert (job.time_limit, job.node_unit, job.restart_window) == (7200.0, 2, 600.0)
    assert job.progress is ProgressFrom.AUTO
    assert (job.progress_pattern, job.cancel_grace, job.restart_grace) == ("at (\\d+)", 12.0, 12.0)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--nproc 2 x.py", "--nproc: unknown flag; did you mean --nproc-per-node?"),
        ("--max_restart 2 x.py", "--max_restart: unknown flag; did you mean --max-restarts?"),
        ("--zzzz x.py", "--zzzz: unknown flag; see --help"),
        ("-y x.py", "-y: unknown flag; see --help"),
        ("-C gpu=h100& x.py", "-C.1: '' is no constraint; write gpu=h100, gpu!=h100, ssd, !ssd or device=*H100*"),
        ("-w n[3-1] x.py", "-w: the range 3-1 runs backwards; write 1-3"),
        ("--progress steps x.py", "--progress: must be 'pattern' or 'auto', not 'steps'"),
        ("--grow later x.py", "--grow: must be 'checkpoint', 'now' or 'never', not 'later'"),
        ("--notice-signal KILL x.py", "--notice-signal: must be a signal that a script can handle, by name, such as USR1, not 'KILL'"),
        ("--spares -1 x.py", "--spares: must be at least 0, not '-1'"),
        ("--priority high x.py", "--priority: must be a whole number, not 'high' (for example 10)"),
        ("--nnodes", "--nnodes: needs a value; write --nnodes N|MIN:MAX"),
        ("--nnodes --standalone x.py", "--nnodes: needs a value; write --nnodes N|MIN:MAX"),
        ("--standalone=yes x.py", "--standalone: takes no value; write it alone"),
        ("-m --no-python x", "--no-python: does not go with --module; drop one of them"),
        ("--nnodes 4:2 x.py", "--nnodes: the minimum of 4:2 is above its maximum; use 2:4"),
        ("--node_unit 2 -N 3:4 x.py", "--node_unit: 2 does not divide nnodes 3:4; use 2:4 or 4:4"),
        ("--max-restarts -1 x.py", "--max-restarts: must be at least 0, not '-1'"),
        ("--env 1A=3 x.py", "--env 1A: an environment name has letters, digits and _ and begins with no digit, unlike '1A'"),
        ("-r 1 x.py", "-r: must be 0 or 3, or these by local rank such as 0:3,1:0 (stdout and stderr are one stream here), not '1'"),
        ("--tee 4 x.py", "--tee: must be 0, 1, 2 or 3, or these by local rank such as 0:3,1:0, not '4'"),
        ("--local-ranks-filter a x.py", "--local-ranks-filter: must be local ranks such as 0,1,2, not 'a'"),
    ],
)  # fmt: skip
def test_a_wrong_flag_gets_one_sentence(line: str, sentence: str) -> None:
    assert refusal(line) == sentence


def test_all_refused_flags_are_named_at_once() -> None:
    assert refusal("torchrun --rdzv-backend c10d --rdzv_endpoint=h:1 --node-rank 0 x.py").splitlines() == [
        f"{flag}: the daemon places ranks and sets MASTER_ADDR and MASTER_PORT; drop it"
        for flag in ("--rdzv-backend", "--rdzv_endpoint", "--node-rank")
    ]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("", [True, True, True]),
        ("--local-ranks-filter 0,2", [True, False, True]),
        ("--local_ranks_filter=", [True, True, True]),
        ("-r 3", [False, False, False]),
        ("-r3 -t 0:3,1:0", [True, False, False]),
        ("--redirects 1:3", [True, False, True]),
        ("-r 3 -t 3 --local-ranks-filter 1", [False, True, False]),
        ("-t 3", [True, True, True]),
    ],
)
def test_what_is_shown(line: str, shown: list[bool]) -> None:
    display = parse(shlex.split(f"{line} x.py")).display
    assert [display.shows(local_rank) for local_rank in range(3)] == shown


def test_the_commands_own_options_come_back_and_only_from_before_the_script() -> None:
    line = parse(["--standalone", "-w", "-ojson", "x.py", "--wait", "-h"], [WAIT, OUTPUT])
    assert line.options == {"standalone": "", "wait": "", "output": "json"}
    assert not line.asks_help
    assert line.display == Display()
    assert parse(["--nnodes", "2", "-h", "--bad"]).asks_help


def test_the_usage_lists_what_has_an_effect() -> None:
    text = usage([WAIT])
    assert "-w, --wait" in text
    for flag in (*TORCHRUN_FLAGS, *OWN_FLAGS):
        listed = any(line.split("  ")[1].startswith(flag.names[0]) for line in text.splitlines())
        assert listed == (flag.effect not in (Effect.REFUSED, Effect.SATISFIED)), flag.names


def test_flags_win_over_a_job_file() -> None:
    file = yaml_source.parse(b"nnodes: 2\nscript: a.py\nargs: [x]\nenv: {A: 1, B: 2}\nmax_restarts: z\n", "job.yaml")
    kept = over(parse(["--nnodes", "3", "--env", "B=3"]).document, file)
    assert kept.data == {
        "nnodes": "3",
        "script": "a.py",
        "args": ["x"],
        "env": {"A": "1", "B": "3"},
        "max_restarts": "z",
    }
    replaced = over(parse(["-m", "pkg"]).document, file)
    assert (replaced.data["module"], replaced.data["args"], "script" in replaced.data) == ("pkg", [], False)
    assert kept.sentence(("nnodes",), "is odd") == "--nnodes: is odd"
    assert kept.sentence(("max_restarts",), "is odd") == "job.yaml:5:1: max_restarts: is odd"
