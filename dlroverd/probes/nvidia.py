"""NVIDIA's driver and devices, as files below a root tell of them: asks no driver, so none can hang."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

_VENDOR, _COMPUTES = "0x10de", ("0x0300", "0x0302")
_LIBRARIES = (
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/aarch64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "usr/local/nvidia/lib64",
)
_VERSION = re.compile(r"\.so\.(\d+\.\d[\d.]*)$")
_LOADED = re.compile(r"Kernel Module(?: for \w+)?\s+(\d[\d.]+)")


def on_bus(root: Path) -> int:
    """Count the devices on the PCI bus."""
    count = 0
    for device in (root / "sys/bus/pci/devices").glob("*"):
        count += _read(device / "vendor") == _VENDOR and _read(device / "class").startswith(_COMPUTES)
    return count


def loaded(root: Path) -> str:
    """Give the version of the driver that the kernel has loaded; "" if none is."""
    if told := _read(root / "sys/module/nvidia/version"):
        return told
    found = _LOADED.search(_read(root / "proc/driver/nvidia/version"))
    return found[1] if found else ""


def installed(root: Path, library: str) -> list[str]:
    """Give the versions of a library that are installed, such as those of `libcuda`."""
    return sorted(set(_versions(root, library)))


def _versions(root: Path, library: str) -> Iterator[str]:
    for folder in _LIBRARIES:
        try:
            names = os.listdir(root / folder)
        except OSError:
            continue
        for name in names:
            if name.startswith(f"{library}.so.") and (match := _VERSION.search(name)):
                yield match[1]


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
