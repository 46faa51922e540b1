"""What a training script finds: the user's Python, the driver, and the versions that all hosts of a job share."""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Generator, Iterator
from typing import Any

from dlroverd.cli.doctor.finding import Finding, Host, bad, ok, said, skipped
from dlroverd.config.resolve import pythons
from dlroverd.probes import nvidia

OLDEST_PYTHON = (3, 9)
# Run by the user's interpreter, whatever it is: says what a rank would have.
_LOOK = """\
import json, sys
about = {"python": list(sys.version_info[:3])}
try:
    import torch
    about |= {"torch": torch.__version__, "cuda": torch.version.cuda or "", "gpus": torch.cuda.device_count()}
    if torch.version.cuda:
        about["nccl"] = ".".join(map(str, torch.cuda.nccl.version()))
except ImportError as error:
    about["without"] = str(error)
print(chr(1) + json.dumps(about))
"""


def training(host: Host) -> Iterator[Finding]:
    """The interpreter that `dlroverctl submit` would take here, the NVIDIA driver, and the fingerprint of both."""
    about = yield from _python(host)
    driver = yield from _driver(host)
    parts = {
        "kernel": host.read("/proc/sys/kernel/osrelease"),
        "libc": platform.libc_ver()[1],
        "driver": driver,
        "python": ".".join(map(str, about.get("python", ()))),
        **{key: str(about.get(key) or "") for key in ("torch", "cuda", "nccl")},
    }
    shown = ", ".join(f"{name} {value}" for name, value in parts.items() if value)
    digest = hashlib.sha256(shown.encode()).hexdigest()[:12]
    yield ok("fingerprint", f"{digest}: {shown} (the same on all hosts of a job)")


def _python(host: Host) -> Generator[Finding, None, dict[str, Any]]:
    words = [host.python] if host.python else pythons(os.environ.get("VIRTUAL_ENV", ""), "")
    program = next((path for word in words if (path := shutil.which(word))), None)
    if program is None:
        yield bad(
            "python", f"no {' nor '.join(words)} here", "install one, activate an environment, or name it: --python"
        )
        return {}
    code, output = said(program, "-c", _LOOK)
    if code:
        last = output.rpartition("\n")[2]
        yield bad("python", f"{program} does not work: {last}", "repair that environment, or name another: --python")
        return {}
    about: dict[str, Any] = json.loads(output.rpartition("\1")[2])
    version = about["python"]
    shown = f"{program} {'.'.join(map(str, version))}"
    if tuple(version) < OLDEST_PYTHON:
        yield bad("python", shown, "use Python 3.9 or newer for what trains")
    elif "without" in about:
        yield ok("python", f"{shown}, without torch ({about['without']})")
    else:
        gpus = f", CUDA {about['cuda']}, {about['gpus']} GPUs" if about["cuda"] else ", for CPUs"
        yield ok("python", f"{shown}, torch {about['torch']}{gpus}")
    return about


def _driver(host: Host) -> Generator[Finding, None, str]:
    """Find the kernel module's version, the library's, and whether they agree, as after an upgrade they do not."""
    devices, loaded = nvidia.on_bus(host.root), nvidia.loaded(host.root)
    versions = nvidia.installed(host.root, "libcuda")
    if not devices and not loaded:
        yield skipped("driver", "no NVIDIA device here")
    elif not loaded:
        yield bad(
            "driver",
            f"{devices} NVIDIA devices, and their driver is not loaded",
            "install it, or `modprobe nvidia`",
        )
    elif versions and loaded not in versions:
        yield bad(
            "driver",
            f"the kernel has {loaded} and the library is {', '.join(versions)}",
            "reboot, or unload and load the module: after an upgrade nothing works until both are the same",
        )
    else:
        yield ok("driver", f"{loaded} for {devices} devices")
    return loaded
