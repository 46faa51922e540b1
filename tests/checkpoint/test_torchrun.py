"""Without dlroverd: ranks start a vault of their own, which outlives a restart by torchrun."""

import os
import re
import subprocess
import sys
from pathlib import Path

from dlroverd_train.vault import client, stored

from tests.checkpoint.test_persisting import until


def test_ranks_restarted_by_torchrun_go_on_from_memory(tmp_path: Path) -> None:
    script = Path(__file__).parent / "restarted.py"
    env = {key: value for key, value in os.environ.items() if key != client.SOCKET}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *("--max-restarts", "1", str(script), str(tmp_path / "path")),
        ],
        # As shipped, torch 2.13 lets new ranks read the old ranks' addresses (pytorch issue 135712).
        env={**env, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^loaded .*$", done.stdout, re.MULTILINE)
    assert found == ["loaded 0 from '' [0.0] 0"] * 2 + ["loaded 3 from 'memory' [3.0] 3"] * 2
    until(lambda: stored.steps(str(tmp_path / "path")))  # by the vault: its ranks may have ended before
    assert [each.step for each in stored.steps(str(tmp_path / "path"))] == [3]
