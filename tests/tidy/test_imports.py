"""The import contracts hold, and each of them notices a violation planted in a small copy of the layout."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "dlroverd": (
        *("api", "builtin", "cli", "config", "core", "daemon", "login", "model", "plugin_api", "plugin_host"),
        *("probes", "protocol", "protocol.v1", "runtime", "store", "testing", "trust"),
    ),
    "dlroverd_agent": ("checkups", "checkups.builtin", "core", "devices", "devices.none", "devices.nvidia"),
    "dlroverd_train": ("vault",),
    "dlroverd_hello": (),
    "dlroverd_kafka": (),
}


PLANTED = (
    ("dlroverd/runtime/loop.py", "import dlroverd.api", "layers"),
    ("dlroverd/store/sqlite.py", "import dlroverd.core", "layers"),
    ("dlroverd/loose/__init__.py", "", "layers"),
    ("dlroverd/core/turn.py", "import dlroverd.plugin_api", "core"),
    ("dlroverd/core/passes/drain.py", "import random", "pure"),
    ("dlroverd/model/ids.py", "import time", "pure"),
    ("dlroverd_agent/core/turn.py", "import asyncio", "pure"),
    ("dlroverd/cli/job.py", "import dlroverd.core", "cli"),
    ("dlroverd/client.py", "import dlroverd.config", "client"),
    ("dlroverd/runtime/loop.py", "import dlroverd.protocol.v1", "generated"),
    ("dlroverd/builtin/fifo.py", "import dlroverd.protocol", "builtin"),
    ("dlroverd_agent/devices/nvidia/driver.py", "import dlroverd.protocol", "builtin"),
    ("dlroverd_hello/sink.py", "import dlroverd.runtime", "builtin"),
    ("dlroverd_kafka/sink.py", "import dlroverd.store", "builtin"),
    ("dlroverd_agent/link.py", "import dlroverd.core", "agent"),
    ("dlroverd/daemon/main.py", "import dlroverd_agent", "daemon"),
    ("dlroverd_train/step.py", "import dlroverd.model", "train"),
    ("dlroverd_agent/gpu.py", "import torch", "torch"),
    ("dlroverd_train/vault/pool.py", "import torch", "torch"),
)


def lint(folder: Path) -> str:
    """Run import-linter on the packages in a folder, and return the ids of the contracts that it breaks."""
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"),
            *("--config", str(ROOT / "pyproject.toml"), "--no-cache"),
        ],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def broken(output: str) -> set[str]:
    names = {each["name"]: each["id"] for each in contracts()}
    return {names[name] for name in re.findall(r"^(.*) BROKEN", output, re.MULTILINE)}


def contracts() -> list[dict[str, str]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return list(settings["tool"]["importlinter"]["contracts"])


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    for package, parts in PACKAGES.items():
        for part in ("", *parts):
            folder = tmp_path / package / part.replace(".", "/")
            folder.mkdir(parents=True)
            (folder / "__init__.py").touch()
    (tmp_path / "dlroverd/client.py").write_text("import dlroverd.protocol\nimport dlroverd.model\n")
    (tmp_path / "dlroverd/cli/__init__.py").write_text("import dlroverd.client\nimport dlroverd.config\n")
    (tmp_path / "dlroverd/testing/__init__.py").write_text("import dlroverd_agent.core\n")
    return tmp_path


def test_what_the_design_allows_passes(layout: Path) -> None:
    output = lint(layout)
    assert f"Contracts: {len(contracts())} kept, 0 broken" in output


@pytest.mark.parametrize(("where", "planted", "contract"), PLANTED)
def test_a_planted_violation_breaks_its_contract(layout: Path, where: str, planted: str, contract: str) -> None:
    file = layout / where
    file.parent.mkdir(parents=True, exist_ok=True)
    (file.parent / "__init__.py").touch()
    file.write_text(f"{planted}\n")
    assert contract in broken(lint(layout))


def test_every_contract_has_a_planted_violation() -> None:
    assert {contract for _, _, contract in PLANTED} == {each["id"] for each in contracts()}
