"""Fuzzes one decoder with atheris, guided by the code that each input reaches.

`python -m tests.properties.fuzz NAME SECONDS`. atheris is not among what a clone installs: `pip install atheris` first.
"""

import importlib
import os
import sys
import tempfile


def main() -> None:
    """Fuzz for so many seconds; atheris ends the process, with what it found if that is anything."""
    name, seconds = sys.argv[1:]
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["dlroverd", "dlroverd_agent", "dlroverd_train"]):
        decode = importlib.import_module("tests.properties.decoders").decode
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # what it finds is written there, and shown
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", "-max_len=4096"], lambda data: decode(name, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
