"""Versions that must agree: of the driver in the kernel and its libraries here, and of those across a gang."""

import os
import platform
import re
from pathlib import Path

from dlroverd.plugin_api import CheckContext, CheckVerdict
from dlroverd.probes import nvidia
from dlroverd_agent.checkups.builtin.look import bad, ok

_NCCL = re.compile(r"nvidia_nccl_cu\d+-([\d.]+)\.dist-info")


def drivers(context: CheckContext) -> CheckVerdict:
    """See that the loaded driver is the one whose libraries are installed, and tell the versions of all."""
    return fingerprint(Path("/"), context.job.argv[0] if context.job is not None else context.python)


def fingerprint(root: Path, python: str) -> CheckVerdict:
    """Look at what is installed below `root`, and beside an interpreter."""
    facts = {"kernel": platform.release()}
    loaded = nvidia.loaded(root)
    if loaded:
        facts["nvidia_driver"] = loaded
    for library in ("libcuda", "libnvidia-ml"):
        found = nvidia.installed(root, library)
        if loaded and found and loaded not in found:
            return bad(
                f"the loaded NVIDIA driver is {loaded}, and the installed {library} is {found[-1]}: an update waits "
                "for a reboot; drain this node and reboot it"
            )
        if found:
            facts[library] = loaded if loaded in found else found[-1]
    for name, found in (("nccl", nvidia.installed(root, "libnccl")), ("python_nccl", _nccl_of(python))):
        if found:
            facts[name] = found[-1]
    told = ", ".join(f"{name} {version}" for name, version in facts.items())
    return ok(f"{told}{'' if loaded else '; no NVIDIA driver is loaded'}", **facts)


def _nccl_of(python: str) -> list[str]:
    """Find NCCL's version among the packages beside an interpreter, without running it."""
    library = Path(python).parent.parent / "lib"
    found = []
    for folder in library.glob("python3*/site-packages"):
        found += [match[1] for name in os.listdir(folder) if (match := _NCCL.fullmatch(name))]
    return sorted(found)
