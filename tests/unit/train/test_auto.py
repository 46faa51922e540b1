"""`progress: auto`: steps of a script that knows nothing of us, and what the script sees of that, which is nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dlroverd_agent.progress import COUNTER, read_page

from tests.unit.train.said import read

COUNTED = """
import json, os, struct, subprocess, sys
os.chdir("/")
import torch
from torch._dynamo.utils import counters
from torch.optim.optimizer import _global_optimizer_post_hooks as hooks

seen = {}
model = torch.nn.Linear(2, 2)
sgd = torch.optim.SGD(model.parameters(), lr=0.1)
data = torch.ones(1, 2)

def page():
    sys.modules["_dlroverd_rank._auto"]._finish()  # it is not written at each of such short steps
    with open(os.environ["DLROVERD_PROGRESS_FILE"], "rb") as file:
        return struct.unpack_from("<q", file.read(), 16)[0]

def scene(name, run, *args):
    before = page()
    run(*args)
    seen[name] = page() - before

def steps(many, optimizer=sgd, forward=model, step=None):
    for _ in range(many):
        forward(data).sum().backward()
        (step or optimizer.step)()
        optimizer.zero_grad()

def accumulated():
    for micro in range(8):
        model(data).sum().backward()
        if micro % 4 == 3:
            sgd.step()

def skipped():
    scaler = torch.amp.GradScaler("cpu")
    for factor in (float("inf"), 1.0):
        scaler.scale(model(data).sum() * factor).backward()
        scaler.step(sgd)
        scaler.update()
        sgd.zero_grad()

class InWorker(torch.utils.data.Dataset):
    def __len__(self): return 3
    def __getitem__(self, index):
        sgd.step()
        return index

class Own(torch.optim.Optimizer):
    def __init__(self, parameters): super().__init__(parameters, {})
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for each in group["params"]: each.add_(each.grad, alpha=-0.1)

def compiled(optimizer, whole, way):
    torch._dynamo.reset()
    counters.clear()
    if way == "step":
        steps(9, optimizer, step=torch.compile(lambda: optimizer.step(), backend="eager", fullgraph=whole))
    else:
        steps_of = torch.compile(lambda: steps(1, optimizer), backend="eager")
        for _ in range(9): steps_of()
    return counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())

steps(1)
scene("plain", steps, 5)
scene("accumulated", accumulated)
scene("skipped", skipped)
scene("forked workers", lambda: list(torch.utils.data.DataLoader(InWorker(), num_workers=1)))
scene("compiled model", lambda: steps(3, forward=torch.compile(model, backend="eager")))
others = [torch.optim.Adam(model.parameters()), torch.optim.Muon([model.weight]), Own(model.parameters())]
torch._dynamo.config.error_on_recompile = True
same = []
for optimizer, whole, way in [
    (sgd, False, "step"), (sgd, False, "loop"), (others[0], False, "step"),
    (others[1], False, "step"), (others[2], True, "step"), (others[2], False, "loop"),
]:
    before = page()
    ours = compiled(optimizer, whole, way)
    seen[f"compiled {type(optimizer).__name__} {way}"] = page() - before
    kept = dict(hooks)
    hooks.clear()
    same.append(ours == compiled(optimizer, whole, way))
    hooks.update(kept)
scene("again", steps, 4, others[0])
from dlroverd_train import progress
progress(1000)
steps(3, others[0])
print(json.dumps({"seen": seen, "same": same, "own": page()}))
"""
RESUMED = """
import torch
model = torch.nn.Linear(2, 2)
adam = torch.optim.Adam(model.parameters())
sgd = torch.optim.SGD(model.parameters(), lr=0.1)
zeros = [torch.zeros_like(each) for each in model.parameters()]
state = {n: {"step": torch.tensor(100.0), "exp_avg": each, "exp_avg_sq": each.clone()} for n, each in enumerate(zeros)}
adam.load_state_dict({**adam.state_dict(), "state": state})
for _ in range(4):
    model(torch.ones(1, 2)).sum().backward()
    adam.step()
    sgd.step()
"""
SEES = """
import os, subprocess, sys
def look():
    return "_dlroverd_rank" in sys.modules, os.environ.get("PYTHONPATH"), [p for p in sys.path if "rank_path" in p]
print(look(), flush=True)
if len(sys.argv) < 2: subprocess.run([sys.executable, __file__, "child"], check=True)
"""


def counted(
    *words: str, path: str = "", python: str = sys.executable, **env: str
) -> "subprocess.CompletedProcess[str]":
    """Run Python as the rank of a job with `progress: auto`, whose own PYTHONPATH is `path`."""
    given = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [python, *words],
        env={**given, "PYTHONPATH": os.pathsep.join(filter(None, (COUNTER, path))), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def step_on(page: Path) -> int | None:
    step = read_page(page.read_bytes())
    return step.step if step is not None else None


def test_steps_are_counted_whatever_the_loop_is_like_and_compiling_is_as_without(tmp_path: Path) -> None:
    done = counted("-c", COUNTED, DLROVERD_PROGRESS_FILE=str(tmp_path / "page"))
    assert done.returncode == 0, done.stderr
    assert "UserWarning" not in done.stderr
    said = json.loads(done.stdout)
    assert said["seen"] == {
        "plain": 5,
        "accumulated": 2,
        "skipped": 1,
        "forked workers": 0,
        "compiled model": 3,
        "compiled SGD step": 9,
        "compiled SGD loop": 9,
        "compiled Adam step": 8,  # its first is taken for a part of the other's last one
        "compiled Muon step": 0,
        "compiled Own step": 0,
        "compiled Own loop": 0,
        "again": 4,
    }
    assert said["same"] == [True] * 6
    assert said["own"] == 1000  # the script's own word counts


def test_a_count_goes_on_from_the_optimizers_own_and_two_that_take_turns_count_once(tmp_path: Path) -> None:
    done = counted("-c", RESUMED, DLROVERD_PROGRESS_FILE=str(tmp_path / "page"))
    assert (done.returncode, done.stderr) == (0, "")
    assert step_on(tmp_path / "page") == 104


@pytest.mark.parametrize("own", ["", "/somewhere", "/a:/b:"])
@pytest.mark.parametrize("way", ["script", "module", "program"])
def test_neither_the_script_nor_its_children_see_it(tmp_path: Path, own: str, way: str) -> None:
    script = tmp_path / "sees.py"
    script.write_text(f"#!{sys.executable}\n{SEES}")
    script.chmod(0o700)
    if way == "program":
        done = counted(python=str(script), path=own)
    elif way == "module":
        own = os.pathsep.join(filter(None, (str(tmp_path), own)))
        done = counted("-m", "sees", path=own)
    else:
        done = counted(str(script), path=own)
    expected = [f"({loaded}, {own or None!r}, [])" for loaded in (True, False)]
    assert (done.stdout.splitlines(), done.stderr) == (expected, "")


@pytest.mark.parametrize("option", ["-I", "-E", "-S"])
def test_where_python_is_told_to_look_at_nothing_it_is_not_there(option: str) -> None:
    done = counted(option, "-c", "import sys; print('_dlroverd_rank' in sys.modules)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


@pytest.mark.parametrize("text", ["print('own', __name__, __file__)", "raise ValueError('own')", "import nothing"])
def test_a_sitecustomize_of_the_users_own_runs_as_without(tmp_path: Path, text: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(text)
    script = "import sys; print(getattr(sys.modules.get('sitecustomize'), '__file__', None))"
    ours = counted("-c", script, path=str(tmp_path))
    plain = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)


def test_a_package_that_cannot_be_loaded_breaks_no_script(tmp_path: Path) -> None:
    shutil.copytree(COUNTER, tmp_path / "rank_path")
    alone = {"PYTHONPATH": str(tmp_path / "rank_path")}
    done = counted("-c", "import os; print(os.environ.get('PYTHONPATH'))", **alone)
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")


def test_an_interpreter_that_has_no_dlroverd_gets_none_and_its_exceptions_are_told(tmp_path: Path) -> None:
    python = os.path.join(sys.base_prefix, "bin", "python3")
    done = counted("-c", "import dlroverd_train", python=python, DLROVERD_EVENTS_FILE=str(tmp_path / "events"))
    assert done.returncode == 1
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'dlroverd_train'\n")
    (event,) = read(tmp_path / "events")
    assert (event["n"], event["b"]["type"]) == ("trainer.exception", "ModuleNotFoundError")
