"""Make a virtual environment that can run, demonstrate and test dlroverd.

Run by `make` with any Python that is new enough; uses only the standard library. A torch that this Python
can already import is used where it lies. Otherwise the size of the download is said before it begins.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
import venv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
DISTRIBUTIONS = (".", "agent", "agent/train", "plugins/hello", "plugins/kafka")
PINS = ROOT / "requirements-dev.txt"
TRAINING = ("numpy", "scikit-learn")  # what the demo needs beside torch
BUILDING = ("editables", "hatchling")
TESTING = ("cloudevents", "hypothesis", "pytest", "pytest-timeout", "pytest-xdist")
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"  # a tenth of the size of the CUDA build
NETWORK_TIMEOUT_S = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the environment is made")
    parser.add_argument("--dev", action="store_true", help="also every tool of the tests and checks")
    parser.add_argument(
        "--lowest", action="store_true", help="the lowest versions that the pyproject files allow, and pytest"
    )
    args = parser.parse_args()
    pins = dict(pinned())
    torch_version = pins.pop("torch")
    packages = {*TRAINING, *BUILDING}
    if args.lowest:
        pins |= dict(lowest_bounds())
        packages |= set(TESTING)
    elif args.dev:
        packages |= set(pins)
    try:
        install(args.folder, torch_version=torch_version, packages=packages, pins=pins)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"this failed, see above for why: {' '.join(map(str, error.cmd))}") from error


def install(folder: Path, *, torch_version: str, packages: set[str], pins: dict[str, str]) -> None:
    python = folder / "bin" / "python"
    if not runs(python):
        say(f"making {folder} with Python {platform.python_version()}")
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
    links = folder / "reused_torch"
    entry = next((folder / "lib").glob("python3.*")) / "site-packages" / "reused_torch.pth"
    entry.unlink(missing_ok=True)  # while pip works: what it sees it takes for its own
    shutil.rmtree(links, ignore_errors=True)
    reused: dict[str, Path] = {}
    if not imports_torch(python):
        reused = reusable_torch()
        if reused:
            say(f"using {reused['torch']}")
        else:
            fetch_torch(python, torch_version)
    say("installing dlroverd and what it depends on")
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()))
    quietly = ("install", "-q", "-c", str(constraints))
    pip(python, *quietly, *sorted(packages))
    editable = [part for name in DISTRIBUTIONS for part in ("-e", str(ROOT / name))]
    pip(python, *quietly, "--no-build-isolation", *editable)
    if reused:
        links.mkdir()
        for name, path in reused.items():
            (links / name).symlink_to(path)
        entry.write_text(f"{links.resolve()}\n")


def runs(python: Path) -> bool:
    """Say whether there is an interpreter of our own version that works (its base may have been removed)."""
    try:
        version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    return version.strip() == f"Python {platform.python_version()}"


def reusable_torch() -> dict[str, Path]:
    """Return the torch of this interpreter and what it needs: files and folders by their names in site-packages.

    Nothing, where there is no torch that works. Only these are linked, for --system-site-packages would not reach
    a torch in an active virtual environment, and would bring all else that lies there, such as plugins of pytest.
    """
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None or not imports_torch(Path(sys.executable)):
        return {}
    found = {"torch": Path(spec.origin).parent}
    names = ["torch"]
    for name in names:  # grows on the way
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform
        for requirement in distribution.requires or ():
            needed = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
            if "extra ==" not in requirement and needed not in names:
                names.append(needed)
        for file in distribution.files or ():
            if file.parts[0] not in ("..", "__pycache__"):
                found[file.parts[0]] = Path(str(distribution.locate_file(file.parts[0])))
    return found


def imports_torch(python: Path) -> bool:
    return subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode == 0


def fetch_torch(python: Path, version: str) -> None:
    arguments = [f"torch=={version}", *cpu_wheels()]
    say(f"no torch found: torch {version} is needed; looking for its size")
    say(f"fetching {download_size(python, arguments)}")
    pip(python, "install", *arguments)


def cpu_wheels() -> list[str]:
    """Return pip's arguments for the small build of torch, where there is no NVIDIA GPU."""
    if Path("/proc/driver/nvidia").exists():
        return []
    try:
        urllib.request.urlopen(f"{CPU_WHEELS}/torch/", timeout=NETWORK_TIMEOUT_S).close()
    except OSError:
        return []
    return ["--extra-index-url", CPU_WHEELS]


def download_size(python: Path, arguments: list[str]) -> str:
    """Say what pip would fetch: "N packages, M MB"."""
    command = [str(python), "-m", "pip", "install", "-q", "--dry-run", "--report", "-", *arguments]
    report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    sizes = [size_bytes(package["download_info"]["url"]) for package in report["install"]]
    unknown = f" and {sizes.count(None)} of unknown size" if None in sizes else ""
    known_mb = sum(size for size in sizes if size is not None) / 1e6
    return f"{len(sizes)} packages, {known_mb:.0f} MB{unknown}"


def size_bytes(url: str) -> int | None:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path)).stat().st_size
    try:
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=NETWORK_TIMEOUT_S) as answer:
            return int(answer.headers["Content-Length"])
    except (OSError, TypeError):
        return None


def pinned() -> Iterator[tuple[str, str]]:
    """Yield (name, version) of each line of the pins."""
    for line in PINS.read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            yield name, version


def lowest_bounds() -> Iterator[tuple[str, str]]:
    """Yield (name, lowest version) of every dependency of our distributions."""
    for folder in DISTRIBUTIONS:
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
        extras = project.get("optional-dependencies", {}).values()
        for requirement in chain(project["dependencies"], *extras):
            if requirement.startswith("dlroverd"):
                continue
            found = re.fullmatch(r"([A-Za-z0-9._-]+)\s*>=\s*([0-9.]+)(,.*)?", requirement)
            if found is None:
                raise SystemExit(f"{folder}/pyproject.toml: {requirement!r} needs a lower bound: name>=1.2")
            yield found[1], found[2]


def pip(python: Path, *arguments: str) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run([str(python), "-m", "pip", *arguments], env=environment, check=True)


def say(line: str) -> None:
    print(f"· {line}", flush=True)


if __name__ == "__main__":
    main()
