"""Where a job goes and how it grows, as flags and job files say it; and the sentence for what cannot be."""

# ruff: noqa: E501 (whole sentences are asserted, one case a line)

from pathlib import Path

import pytest

from dlroverd.config import run_flags, yaml_source
from dlroverd.config.document import ConfigError, Document
from dlroverd.config.jobfile import draft
from dlroverd.config.resolve import Submitter, resolve
from dlroverd.model.job import DEFAULT_CHECKPOINT_PATTERN, GrowWhen, JobSpec, User


def submitted(document: Document, folder: Path) -> JobSpec:
    (folder / "train.py").touch()
    user = User(uid=1, gid=1, name="ann")
    return resolve(
        draft(document), Submitter(cwd=str(folder), environ={"PATH": "/usr/bin:/bin"}, user=user, cpus=2, gpus=0)
    )


def test_a_command_line_says_where_a_job_goes_and_how_it_grows(tmp_path: Path) -> None:
    line = (
        "--nnodes 2:4 --spares 1 --priority 10 --project vision --grow now --replace-wait 5m --preempt-grace 90s "
        "--notice-signal SIGUSR1 -w n[1-3],m1 -x n3x -C gpu=h100&!shared,device=*H100* --spread rack train.py"
    )
    spec = submitted(run_flags.parse(line.split()).document, tmp_path)
    role = spec.roles[0]
    assert (role.nodes_min, role.nodes_max, role.spares, spec.priority, spec.project) == (2, 4, 1, 10, "vision")
    assert (spec.grow, spec.replace_wait_s, spec.preempt_grace_s, spec.notice_signal) == (
        GrowWhen.NOW,
        300.0,
        90.0,
        "USR1",
    )
    assert (role.nodelist, role.exclude) == (("n1", "n2", "n3", "m1"), ("n3x",))
    assert (role.require, role.spread) == (("gpu=h100", "!shared", "device=*H100*"), "rack")


def test_a_job_file_says_it_by_role_and_what_is_left_out_is_the_models(tmp_path: Path) -> None:
    text = "roles:\n  ps: {script: train.py, apart_from: [trainer, ps]}\n  trainer: {script: train.py, require: [ssd], nodelist: 'n[1-2]'}\n"
    spec = submitted(yaml_source.parse(text.encode(), "job.yaml"), tmp_path)
    assert (spec.role("ps").apart_from, spec.role("trainer").require) == (("trainer", "ps"), ("ssd",))
    assert spec.role("trainer").nodelist == ("n1", "n2")
    assert (spec.priority, spec.grow, spec.checkpoint_pattern) == (0, GrowWhen.CHECKPOINT, DEFAULT_CHECKPOINT_PATTERN)
    assert (spec.replace_wait_s, spec.preempt_grace_s, spec.notice_signal) == (60.0, 60.0, "")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("require: [gpu=]\n", "require.0: 'gpu=' is no constraint; write gpu=h100, gpu!=h100, ssd, !ssd or device=*H100*"),
        ("require: [ssd, ssd]\n", "require: names 'ssd' twice; drop one"),
        ("nodelist: [n1, 'n[1-2]']\n", "nodelist: names 'n1' twice; drop one"),
        ("nodelist: 'n 1'\n", "nodelist: must be names of nodes, such as n1 or n[001-016,020] or n1,n2, not 'n 1'"),
        ("nodelist: [n1, n2]\nexclude: [n2]\n", "exclude and nodelist both name 'n2'; drop one"),
        ("apart_from: [ps]\n", "apart_from names 'ps', which is no role of the job; use trainer"),
        ("together_with: [trainer]\n", "together_with names 'trainer', which is the role itself; name another one"),
        (
            "roles: {a: {script: x, apart_from: [b], together_with: [b]}, b: {script: x}}\n",
            "roles.a.apart_from and together_with both name 'b'; drop one",
        ),
        ("spread: a rack\n", "spread: must be a kind of domain of the topology file, such as rack or switch, not 'a rack'"),
        ("notice_signal: USR9\n", "notice_signal: must be a signal that a script can handle, by name, such as USR1, not 'USR9'"),
        ("checkpoint_pattern: saved\n", "checkpoint_pattern: must have one group, the step, such as `step (\\d+)`, not 0 in 'saved'"),
    ],
)  # fmt: skip
def test_what_cannot_be_gets_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        draft(
            yaml_source.parse(
                f"script: train.py\n{text}".encode() if "roles" not in text else text.encode(), "job.yaml"
            )
        )
    assert str(caught.value).endswith(sentence), str(caught.value)
    assert "\n" not in str(caught.value)
