"""Our table of torchrun's flags held against torch's own parser."""

import json
import shlex
import subprocess
import sys
from typing import Any

import pytest

from dlroverd.config.flags import TORCHRUN_FLAGS, Effect
from dlroverd.config.jobfile import JobFile, draft
from dlroverd.config.run_flags import parse

LINES = (
    "train.py",
    "--nnodes 2:4 --nproc_per_node=8 train.py --lr 3e-4 --nnodes 9",
    "--nnodes=3 --nproc-per-node cpu --max_restarts 4 --role worker --rdzv_id abc -m pkg.train -m x",
    "--standalone --no-python ./prog a -- b",
    "--run-path /abs/train.py -r 3 -t3 --local_ranks_filter=0,1",
    "-- train.py --max-restarts 5",
    "--shutdown-timeout 9 --monitor-interval 5 --start-method fork train.py -h",
)

# Asked in a process of its own: importing torch is heavy, and it reads defaults from the environment.
ASK = """
import json, sys
from torch.distributed.run import get_args_parser
parser = get_args_parser()
flags = [
    {"names": a.option_strings, "dest": a.dest, "switch": a.nargs == 0, "default": a.default}
    for a in parser._actions if a.option_strings and a.dest != "help"
]
lines = [vars(parser.parse_args(words)) for words in json.loads(sys.argv[1])]
print(json.dumps({"flags": flags, "lines": lines}))
"""

OURS_DIFFERS = {  # torchrun's default, and ours where it is another
    "max_restarts": (0, 3),
    "role": ("default", "trainer"),
    "rdzv_id": ("none", ""),
    "shutdown_timeout": (None, 30.0),
}


@pytest.fixture(scope="module")
def torch_says() -> dict[str, Any]:
    words = json.dumps([shlex.split(line) for line in LINES])
    done = subprocess.run([sys.executable, "-c", ASK, words], stdout=subprocess.PIPE, check=True, env={})
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_every_flag_of_torchrun_is_in_the_table_and_none_besides(torch_says: dict[str, Any]) -> None:
    theirs = {tuple(n for n in flag["names"] if "_" not in n): flag["switch"] for flag in torch_says["flags"]}
    ours = {flag.names: not flag.metavar for flag in TORCHRUN_FLAGS}
    assert ours == theirs


def test_every_spelling_is_understood_or_refused_by_the_name_used(torch_says: dict[str, Any]) -> None:
    table = {flag.names: flag for flag in TORCHRUN_FLAGS}
    values = {"redirects": "3", "tee": "3", "local_ranks": "0"}
    for theirs in torch_says["flags"]:
        flag = table[tuple(n for n in theirs["names"] if "_" not in n)]
        for spelling in theirs["names"]:
            words = [spelling] if theirs["switch"] else [spelling, values.get(flag.key, "2")]
            if flag.effect is Effect.REFUSED:
                with pytest.raises(Exception, match=f"^{spelling}: .*drop it") as caught:
                    parse([*words, "x.py"])
                assert str(caught.value) == f"{spelling}: {flag.help}"
            else:
                line = parse([*words, "x.py"])
                assert {*line.document.data} & {"script", "module", "command"}
                for key in flag.key.split() if flag.effect is Effect.JOB else ():
                    assert line.document.data[key] == "2"


def test_defaults_are_torchruns_but_for_those_we_say(torch_says: dict[str, Any]) -> None:
    defaults = {flag["dest"]: flag["default"] for flag in torch_says["flags"]}
    plain = JobFile().model_dump(mode="json")
    for flag in TORCHRUN_FLAGS:
        if flag.effect is not Effect.JOB:
            continue
        dest = flag.names[-1][2:].replace("-", "_")
        ours = plain[flag.key.split()[0]]
        if dest in OURS_DIFFERS:
            assert defaults[dest] == OURS_DIFFERS[dest][0]
            assert getattr(JobFile(), flag.key.split()[0]) == OURS_DIFFERS[dest][1]
            assert "torchrun: " in flag.help
        else:
            assert str(ours) == defaults[dest]


def test_lines_mean_the_same_here(torch_says: dict[str, Any]) -> None:
    for text, theirs in zip(LINES, torch_says["lines"], strict=True):
        line = parse(["torchrun", *shlex.split(text)])
        job = draft(line.document).job
        assert (job.script or job.module or job.command) == theirs["training_script"], text
        assert job.args == theirs["training_script_args"], text
        assert (bool(job.module), bool(job.command)) == (theirs["module"], theirs["no_python"]), text
        low, _, high = theirs["nnodes"].partition(":")
        assert job.nnodes == (int(low), int(high or low)), text
        assert str(job.nproc_per_node) == theirs["nproc_per_node"], text
        assert ("standalone" in line.options) == theirs["standalone"], text
