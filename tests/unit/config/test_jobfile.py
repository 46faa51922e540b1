"""The job file: what may be written, and the sentence for what may not."""

# ruff: noqa: E501 (whole sentences are asserted, one case a line)

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.config import yaml_source
from dlroverd.config.document import ConfigError
from dlroverd.config.jobfile import JobFile, RoleFile, draft, json_schema


def read(text: str) -> JobFile:
    return draft(yaml_source.parse(text.encode(), "job.yaml")).job


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("10m", 600.0), ("auto", 0.0), ("0", 0.0), ("never", -1.0), ("90", 90.0)]
)
def test_how_often_to_save_is_a_time_or_a_word(text: str, seconds: float) -> None:
    job = read(f"script: train.py\ncheckpoint_interval: {text}\n")
    assert job.checkpoint_interval == seconds
    again = job.model_dump(mode="json")["checkpoint_interval"]
    assert read(f"script: train.py\ncheckpoint_interval: {again}\n") == job
    assert read("script: train.py\n").checkpoint_interval == 0.0


def test_how_often_to_save_is_nothing_else() -> None:
    said = refusal("script: train.py\ncheckpoint_interval: often\n")
    assert said.endswith("1h30m or 7d, not 'often'; or use auto or never")


def test_the_flat_form() -> None:
    job = read(
        "name: digits\nnnodes: 2:4\nnode_unit: 2\nnproc_per_node: 8\nscript: train.py\nargs: [--lr, 3e-4, --amp, yes]\n"
        "env: {A: 1, B: no, HF_TOKEN: }\nmax_restarts: 5\nrestart_window: 30m\ntime_limit: 12h\nrun_id: 007\n"
    )
    assert (job.name, job.nnodes, job.node_unit, job.nproc_per_node) == ("digits", (2, 4), 2, 8)
    assert job.args == ["--lr", "3e-4", "--amp", "yes"]
    assert job.env == {"A": "1", "B": "no", "HF_TOKEN": None}
    assert (job.max_restarts, job.restart_window, job.time_limit, job.run_id) == (5, 1800.0, 43200.0, "007")
    assert [(path, role.script) for path, role in job.named_roles()] == [((), "train.py")]


def test_the_roles_form() -> None:
    job = read(
        "roles:\n  ps: {module: pkg.ps, restart_with: [ps]}\n  trainer: {script: t.py, nnodes: 4, nproc_per_node: gpu}\n"
    )
    assert [(path, role.nnodes, role.nproc_per_node) for path, role in job.named_roles()] == [
        (("roles", "ps"), (1, 1), 1),
        (("roles", "trainer"), (4, 4), "gpu"),
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("script: a.py\nnnode: 2\n", "job.yaml:2:1: nnode: unknown key; did you mean nnodes?"),
        ("roles: {t: {scrpt: a.py}}\n", "job.yaml:1:13: roles.t.scrpt: unknown key; did you mean script?"),
        ("script: a.py\n<<: {}\n", "job.yaml:2:1: <<: unknown key; known are " + ", ".join(JobFile.model_fields)),
        ("nnodes: 4:2\n", "job.yaml:1:1: nnodes: the minimum of 4:2 is above its maximum; use 2:4"),
        ("nnodes: few\n", "job.yaml:1:1: nnodes: must be a number of nodes or MIN:MAX, both from 1, such as 4 or 2:4, not 'few'"),
        ("nnodes: 0:2\n", "job.yaml:1:1: nnodes: must be a number of nodes or MIN:MAX, both from 1, such as 4 or 2:4, not '0:2'"),
        ("nnodes: 9999999\n", "job.yaml:1:1: nnodes: must be at most 1000000, not 9999999"),
        ("nnodes: 3:4\nnode_unit: 2\n", "job.yaml:2:1: node_unit: 2 does not divide nnodes 3:4; use 2:4 or 4:4"),
        ("node_unit: 2\nnnodes: 3\n", "job.yaml:1:1: node_unit: 2 does not divide nnodes 3:3; use 2:2 or 4:4"),
        ("node_unit: 4\nnnodes: 1:2\n", "job.yaml:1:1: node_unit: 4 does not divide nnodes 1:2; use 4:4"),
        ("nnodes: 1:2\nnode_unit: 0\n", "job.yaml:2:1: node_unit: must be at least 1, not '0'"),
        ("nproc_per_node: xpu\n", "job.yaml:1:1: nproc_per_node: must be a number from 1, gpu, cpu or auto, not 'xpu'"),
        ("nproc_per_node: 0\n", "job.yaml:1:1: nproc_per_node: must be a number from 1, gpu, cpu or auto, not '0'"),
        ("resources: {memory: lots}\n", "job.yaml:1:13: resources.memory: must be a size such as 512KiB, 64MiB or 1GiB, not 'lots'"),
        ("resources: {cpus: 0-7;9}\n", "job.yaml:1:13: resources.cpus: must be numbers and ranges such as 0-7,16, not '0-7;9'"),
        ("resources: {numa_nodes: 3-1}\n", "job.yaml:1:13: resources.numa_nodes: must be numbers and ranges such as 0-7,16, not '3-1'"),
        ("resources: {oom_score_adjust: -5}\n", "job.yaml:1:13: resources.oom_score_adjust: must be at least 0, not '-5'"),
        ("max_restarts: -1\n", "job.yaml:1:1: max_restarts: must be at least 0, not '-1'"),
        ("max_restarts: 10000000\n", "job.yaml:1:1: max_restarts: must be at most 1000000, not '10000000'"),
        ("max_restarts: often\n", "job.yaml:1:1: max_restarts: must be a whole number, not 'often' (for example 3)"),
        ("time_limit: long\n", "job.yaml:1:1: time_limit: must be a duration such as 500ms, 5s, 10m, 1h30m or 7d, not 'long'"),
        ("args: --lr 1\n", "job.yaml:1:1: args: must be a list, as [a, b] or in lines that begin with '- ', not '--lr 1' (for example [--lr, 3e-4])"),
        ("args: [[a]]\n", "job.yaml:1:8: args.0: must be text, not a list"),
        ("script: [a]\n", "job.yaml:1:1: script: must be text, not a list (for example train.py)"),
        ("script:\n", "job.yaml:1:1: script: must be text, not nothing (for example train.py)"),
        ("env: [A=1]\n", "job.yaml:1:1: env: must be a mapping of `key: value` lines, not a list (for example {NCCL_DEBUG: INFO, HF_TOKEN: })"),
        ("env:\n  A-B: 1\n", "job.yaml:2:3: env.A-B: an environment name has letters, digits and _ and begins with no digit, unlike 'A-B'"),
        ('env: {A: "x\\0y"}\n', "job.yaml:1:7: env.A: must not hold a NUL character; drop it"),
        ("name: My_Job\n", "job.yaml:1:1: name: must be 1 to 63 of a-z, 0-9 and '-', with no '-' at its beginning or end, unlike 'My_Job'"),
        (f"name: {'x' * 64}\n", f"job.yaml:1:1: name: must be 1 to 63 of a-z, 0-9 and '-', with no '-' at its beginning or end, unlike '{'x' * 57}...'"),
        ("roles: {a/b: {}}\n", "job.yaml:1:9: roles.a/b: must be 1 to 63 of a-z, 0-9 and '-', with no '-' at its beginning or end, unlike 'a/b'"),
        ("roles: [a]\n", "job.yaml:1:1: roles: must be a mapping of `key: value` lines, not a list (for example {trainer: {script: train.py}})"),
        ("nnodes: 2\nroles: {a: {script: x.py}}\n", "job.yaml: nnodes belongs inside a role when roles is given; move it there"),
        ("roles: {a: {script: x.py, restart_with: [b]}}\n", "job.yaml: roles.a.restart_with names 'b', which is no role of the job; use a, *"),
        ("progress_pattern: 'step ('\n", "job.yaml:1:1: progress_pattern: is not a regular expression: missing ), unterminated subpattern at position 5; correct 'step ('"),
        ("progress_pattern: step\n", "job.yaml:1:1: progress_pattern: must have one group, the step, such as `step (\\d+)`, not 0 in 'step'"),
    ],
)  # fmt: skip
def test_a_wrong_job_file_gets_one_sentence(text: str, sentence: str) -> None:
    assert refusal(text) == sentence


def test_each_wrong_thing_has_its_own_sentence() -> None:
    assert refusal("nnodes: 3:1\nmax_restarts: x\nrole_name: a\n").splitlines() == [
        "job.yaml:1:1: nnodes: the minimum of 3:1 is above its maximum; use 1:3",
        "job.yaml:2:1: max_restarts: must be a whole number, not 'x' (for example 3)",
        "job.yaml:3:1: role_name: unknown key; did you mean role?",
    ]


@given(low=st.integers(1, 60), width=st.integers(0, 60), unit=st.integers(2, 20))
def test_the_ranges_that_are_offered_are_legal(low: int, width: int, unit: int) -> None:
    text = f"nnodes: {low}:{low + width}\nnode_unit: {unit}\n"
    if low % unit == 0 and width % unit == 0:
        assert read(text).node_unit == unit
        return
    offered = re.findall(r"(\d+):(\d+)", refusal(text).rpartition("use ")[2])
    assert offered
    for pair in offered:
        assert read(f"nnodes: {pair[0]}:{pair[1]}\nnode_unit: {unit}\n").node_unit == unit


def test_the_json_schema_knows_every_key_and_refuses_others() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == set(JobFile.model_fields)
    assert schema["additionalProperties"] is False
    assert set(schema["$defs"]["RoleFile"]["properties"]) == set(RoleFile.model_fields)
    for name, declared in schema["properties"].items():
        assert declared["description"], name
    nodes = schema["properties"]["nnodes"]
    assert [bool(re.search(nodes["pattern"], text)) for text in ("2:4", "8", "0", "a:b")] == [True, True, False, False]
    assert schema["properties"]["args"]["items"]["type"] == ["string", "number", "boolean"]


def test_secrets_are_said_by_where_they_are() -> None:
    job = read("script: t.py\nsecrets: {A: {file: ~/a}, B: {credential: wandb}}\n")
    assert [(name, each.file, each.credential) for name, each in job.secrets.items()] == [
        ("A", "~/a", ""),
        ("B", "", "wandb"),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{A: {}}", "needs either a file or a credential; give one of them"),
        ("{A: {file: /a, credential: b}}", "needs either a file or a credential; give one of them"),
        ("{A: {credential: ../b}}", "must be a name of letters, digits, '_', '.' and '-', not '../b'"),
        ("{A-B: {file: /a}}", "an environment name has letters, digits and _"),
        ("{A: hunter2}", "must be a mapping"),
    ],
)
def test_what_is_no_reference_to_a_secret_is_refused(text: str, told: str) -> None:
    assert told in refusal(f"script: t.py\nsecrets: {text}\n")
