"""What makes names durable: that a file was made, renamed or removed outlives a power cut only after this."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Have the names in a folder reach the disk. Blocking; OSError if the disk does not take them."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
