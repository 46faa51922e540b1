"""The generated code that is checked in is what the .proto files say."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("grpc_tools", reason="the lowest versions are tested without a compiler")

GENERATE = Path(__file__).parents[3] / "protos" / "generate.py"


def test_generated_code_is_fresh() -> None:
    done = subprocess.run([sys.executable, GENERATE, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
