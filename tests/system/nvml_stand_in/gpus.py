"""An 8-GPU host without a GPU: builds `nvml.c`, puts a process on it, and says what its driver answers.

gpus = Gpus(tmp_path)
Popen(..., env={**os.environ, **gpus.environment})
gpus.set("process 3 4711 1073741824", "lost 5")     # from the next call on; what was set before is gone
"""

import functools
import subprocess
import tempfile
from pathlib import Path

COUNT = 8


def uuid(index: int) -> str:
    """Name the GPU at an index, if `uuid` has not renamed it."""
    return f"GPU-00000000-0000-4000-8000-{index:012}"


@functools.cache
def _built() -> tuple[Path, tempfile.TemporaryDirectory[str]]:
    """Compile the library once a process, into a folder that goes when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="nvml-")
    library = Path(folder.name) / "libnvidia-ml.so.1"
    source = Path(__file__).with_name("nvml.c")
    options = ("-shared", "-fPIC", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-Wl,-soname,{library.name}")
    subprocess.run(["gcc", *options, "-o", library, source], check=True)
    return library, folder


class Gpus:
    """What the driver of one stand-in host answers."""

    def __init__(self, directory: Path, count: int = COUNT) -> None:
        self.library, _ = _built()
        self.file = directory / "gpus"
        self._count = count
        self.set()

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make a process find this host's driver."""
        return {"LD_LIBRARY_PATH": str(self.library.parent), "DLROVERD_NVML_FILE": str(self.file)}

    def set(self, *facts: str) -> None:
        """Say all that is not as it should be, in the words of nvml.c."""
        new = self.file.with_suffix(".new")
        new.write_text("\n".join([f"gpus {self._count}", *facts, ""]))
        new.rename(self.file)

    def unload(self) -> None:
        """Take the driver away."""
        self.file.unlink()
