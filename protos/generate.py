"""Generates dlroverd/protocol/v1 from the .proto files here; with `--check`, fails if what is checked in is stale.

Kept out of the package so that running dlroverd needs no compiler. Generated code demands at least the versions of
protobuf and grpcio that made it, so the floors in pyproject.toml follow the grpcio-tools pinned there.
"""

import argparse
import importlib.resources
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import version
from pathlib import Path

PROTOS = Path(__file__).resolve().parent
REPOSITORY = PROTOS.parent
PACKAGE = Path("dlroverd/protocol/v1")


def generate(out: Path) -> dict[str, bytes]:
    """Compile everything into `out`; the content of each generated file by its name."""
    sources = sorted((PROTOS / PACKAGE).glob("*.proto"))
    services = [source for source in sources if source.stem.endswith("_service")]
    includes = [f"-I{PROTOS}", f"-I{importlib.resources.files('grpc_tools') / '_proto'}"]
    stub_plugin = Path(sysconfig.get_path("scripts")) / "protoc-gen-mypy_grpc"
    _protoc(*includes, f"--python_out={out}", f"--pyi_out={out}", *map(str, sources))
    _protoc(
        *includes,
        f"--grpc_python_out={out}",
        f"--plugin=protoc-gen-mypy_grpc={stub_plugin}",
        f"--mypy_grpc_out=only_async,quiet:{out}",
        *map(str, services),
    )
    return {path.name: path.read_bytes() for path in (out / PACKAGE).iterdir()}


def _protoc(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], check=True)


def checked_in() -> dict[str, bytes]:
    """Read the content of each file in the package as it stands, by its name."""
    return {path.name: path.read_bytes() for path in (REPOSITORY / PACKAGE).glob("*_pb2*")}


def main() -> int:
    """Write the package, or with `--check` compare it: 1 if it is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the package is stale")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as out:
        fresh = generate(Path(out))
    stale = checked_in()
    changed = sorted(name for name in fresh.keys() | stale.keys() if fresh.get(name) != stale.get(name))
    if not changed:
        return 0
    if check:
        tools = f"grpcio-tools {version('grpcio-tools')}, mypy-protobuf {version('mypy-protobuf')}"
        sys.stderr.write(
            f"{PACKAGE} is stale ({', '.join(changed)}; compared with {tools}): run `make proto` and commit it.\n"
        )
        return 1
    for name in changed:
        path = REPOSITORY / PACKAGE / name
        if name in fresh:
            path.write_bytes(fresh[name])
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
