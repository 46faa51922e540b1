"""The child that asks NVIDIA's driver what it has, and prints it as JSON. Without a driver there is nothing."""

import json
import sys

import pynvml


def main() -> None:
    """Print `[{"uuid": ..., "model": ..., "memory_bytes": ...}]` in the driver's order."""
    try:
        pynvml.nvmlInit()
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        sys.stdout.write("[]")
        return
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    devices = [
        {
            "uuid": pynvml.nvmlDeviceGetUUID(handle),
            "model": pynvml.nvmlDeviceGetName(handle),
            "memory_bytes": pynvml.nvmlDeviceGetMemoryInfo(handle).total,
        }
        for handle in handles
    ]
    sys.stdout.write(json.dumps(devices))


if __name__ == "__main__":
    main()
