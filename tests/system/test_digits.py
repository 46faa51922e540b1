"""The example is an ordinary torchrun script: it trains and resumes without dlroverd."""

import os
import re
import subprocess
import sys
from pathlib import Path

DIGITS = Path(__file__).parents[2] / "examples" / "digits.py"


def torchrun(folder: Path, *flags: str) -> str:
    """Run the example with two ranks and return what it printed."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *(str(DIGITS), "--checkpoint-dir", str(folder), *flags),
        ],
        # As shipped, torch 2.13 lets new ranks read the old ranks' addresses (pytorch issue 135712).
        env={**os.environ, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def accuracy(output: str) -> float:
    (found,) = re.findall(r"^accuracy (\d\.\d{4})$", output, re.MULTILINE)
    return float(found)


def losses(output: str) -> dict[int, str]:
    found = re.findall(r"^epoch \d+ step (\d+) loss (\S+)$", output, re.MULTILINE)
    return {int(step): loss for step, loss in found}


def test_a_resumed_run_ends_as_one_that_never_stopped(tmp_path: Path) -> None:
    whole = torchrun(tmp_path / "whole", "--epochs", "5")
    assert "resumed" not in whole
    assert accuracy(whole) >= 0.95

    first = torchrun(tmp_path / "parts", "--epochs", "2")
    (tmp_path / "parts" / "step-999.partial").mkdir()  # what a rank killed while saving leaves behind
    second = torchrun(tmp_path / "parts", "--epochs", "5")

    assert "resumed from step 44\n" in second
    assert losses(first) | losses(second) == losses(whole)
    assert accuracy(second) == accuracy(whole)
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["step-100", "step-110"]
