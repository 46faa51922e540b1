"""Versions that must agree: of the driver in the kernel and its libraries here, and of those across a gang."""

import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

from dlroverd.plugin_api import CheckContext, CheckVerdict
from dlroverd_agent.checkups.builtin.look import bad, ok

_LIBRARIES = (
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "usr/local/nvidia/lib64",
)
_VERSION = re.compile(r"\.so\.(\d+\.\d[\d.]*)$")
_LOADED = re.compile(r"Kernel Module(?: for \w+)?\s+(\d[\d.]+)")
_NCCL = re.compile(r"nvidia_nccl_cu\d+-([\d.]+)\.dist-info")


def drivers(context: CheckContext) -> CheckVerdict:
    """See that the loaded driver is the one whose libraries are installed, and tell the versions of all."""
    return fingerprint(Path("/"), context.job.argv[0] if context.job is not None else context.python)


def fingerprint(root: Path, python: str) -> CheckVerdict:
    """Look at what is installed below `root`, and beside an interpreter."""
    facts = {"kernel": platform.release()}
    loaded = _loaded(root)
    if loaded:
        facts["nvidia_driver"] = loaded
    for library in ("libcuda", "libnvidia-ml"):
        found = sorted(set(_versions(root, library)))
        if loaded and found and loaded not in found:
            return bad(
                f"the loaded NVIDIA driver is {loaded}, and the installed {library} is {found[-1]}: an update waits "
                "for a reboot; drain this node and reboot it"
            )
        if found:
            facts[library] = loaded if loaded in found else found[-1]
    for name, found in (("nccl", sorted(set(_versions(root, "libnccl")))), ("python_nccl", _nccl_of(python))):
        if found:
            facts[name] = found[-1]
    told = ", ".join(f"{name} {version}" for name, version in facts.items())
    return ok(f"{told}{'' if loaded else '; no NVIDIA driver is loaded'}", **facts)


def _loaded(root: Path) -> str:
    try:
        said = (root / "proc/driver/nvidia/version").read_text(errors="replace")
    except OSError:
        return ""
    found = _LOADED.search(said)
    return found[1] if found else ""


def _versions(root: Path, library: str) -> Iterator[str]:
    for folder in _LIBRARIES:
        try:
            names = os.listdir(root / folder)
        except OSError:
            continue
        for name in names:
            if name.startswith(f"{library}.so.") and (match := _VERSION.search(name)):
                yield match[1]


def _nccl_of(python: str) -> list[str]:
    """Find NCCL's version among the packages beside an interpreter, without running it."""
    library = Path(python).parent.parent / "lib"
    found = []
    for folder in library.glob("python3*/site-packages"):
        found += [match[1] for name in os.listdir(folder) if (match := _NCCL.fullmatch(name))]
    return sorted(found)
