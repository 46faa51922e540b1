"""The benchmarks of light node checks. A program of its own, for any interpreter that has torch.

    python bench.py compute
    python bench.py meet ADDRESS PORT RANK SIZE SECONDS

It says what it measured as one line of JSON on its standard output: {"seconds": ..., ...}, or {"problem": sentence}.
What is measured is also checked: a result that is wrong is a problem. Imports nothing of ours.
"""

import datetime as dt
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

_LARGEST, _STEP = 16384, 256
_ON_CPU = 1024
_WARM, _LEAST_RUNS, _MOST_RUNS, _LEAST_S = 2, 5, 50, 1.0
_CPU_FLOATS, _DEVICE_FLOATS = 1 << 20, 1 << 24
_REDUCES, _LEAST_REDUCES, _REDUCES_S = 20, 3, 20.0


def compute() -> dict[str, Any]:
    """Multiply matrices on each device, or on the CPU: the slowest device, and how fast it is."""
    import torch  # noqa: PLC0415 - that it is absent is an answer

    found = []
    for index in range(torch.cuda.device_count()) or [-1]:
        device = torch.device("cpu" if index < 0 else f"cuda:{index}")
        size = _size(torch, device)
        kind = torch.float32 if index < 0 else torch.bfloat16
        torch.manual_seed(7)
        one = torch.randint(-2, 3, (size, size), device=device).to(kind)
        other = torch.randint(-2, 3, (size, size), device=device).to(kind)
        seconds = statistics.median(_timed(torch, device, torch.matmul, one, other))
        # Sums of rows of small whole numbers are exact in any order.
        row = torch.matmul(one[:4].double(), other.double())
        if not torch.equal(torch.matmul(one[:4].float(), other.float()).double(), row):
            return {"problem": f"{device} multiplies matrices wrongly: take it out of use", "wrong": True}
        name = "the CPU" if index < 0 else torch.cuda.get_device_name(index)
        found.append(
            {"seconds": seconds, "flops": 2 * size**3 / seconds, "device": str(device), "name": name, "size": size}
        )
    return min(found, key=lambda each: each["flops"])


def _size(torch: Any, device: Any) -> int:
    """Size a matrix to a device: three take a tenth of its memory at most."""
    if device.type == "cpu":
        return _ON_CPU
    memory = torch.cuda.get_device_properties(device).total_memory
    return max(_STEP, min(_LARGEST, int((memory / 10 / 6) ** 0.5) // _STEP * _STEP))


def _timed(torch: Any, device: Any, work: Callable[..., object], *matrices: Any) -> list[float]:
    """Time a piece of work, at least so often and so long, after it is warm."""
    runs: list[float] = []
    for number in range(_WARM + _MOST_RUNS):
        began = time.perf_counter()
        work(*matrices)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if number >= _WARM:
            runs.append(time.perf_counter() - began)
        if len(runs) >= _LEAST_RUNS and sum(runs) >= _LEAST_S:
            break
    return runs


def meet(address: str, port: int, rank: int, size: int, limit_s: float) -> dict[str, Any]:
    """Multiply and all-reduce with other nodes, over the backend that training uses."""
    import torch  # noqa: PLC0415 - that it is absent is an answer
    import torch.distributed as dist  # noqa: PLC0415 - as above

    cuda = torch.cuda.is_available()
    device = torch.device("cuda:0" if cuda else "cpu")
    dist.init_process_group(
        "nccl" if cuda else "gloo",
        init_method=f"tcp://{'[' + address + ']' if ':' in address else address}:{port}",
        rank=rank,
        world_size=size,
        timeout=dt.timedelta(seconds=limit_s),
    )
    matrix = torch.ones(_size(torch, device) // 2, _size(torch, device) // 2, device=device)
    data = torch.ones(_DEVICE_FLOATS if cuda else _CPU_FLOATS, device=device)
    dist.all_reduce(data)  # warm, and all are here
    began = time.perf_counter()
    dist.all_reduce(data)
    # All make as many runs as the slowest can in good time: one that is slow is told from one that does not answer.
    first = torch.tensor([time.perf_counter() - began], device=device)
    dist.all_reduce(first, op=dist.ReduceOp.MAX)
    runs = max(_LEAST_REDUCES, min(_REDUCES, int(_REDUCES_S / float(first))))
    began = time.perf_counter()
    for _ in range(runs):
        torch.matmul(matrix, matrix)
        data.fill_(rank + 1.0)
        dist.all_reduce(data)
    wrong = bool((data != size * (size + 1) / 2).any())
    seconds = (time.perf_counter() - began) / runs * _REDUCES
    dist.barrier()
    dist.destroy_process_group()
    if wrong:
        return {"problem": "what was summed up over the network is wrong", "wrong": True}
    return {"seconds": seconds}


def main(words: list[str]) -> None:
    """Run one benchmark and say what came of it."""
    try:
        if words[0] == "compute":
            said = compute()
        else:
            said = meet(words[1], int(words[2]), int(words[3]), int(words[4]), float(words[5]))
    except ImportError as error:
        said = {"problem": f"{sys.executable} cannot import torch ({error})", "absent": True}
    except Exception as error:  # noqa: BLE001 - whatever a backend raises is what was found
        said = {"problem": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
    sys.stdout.write("\n" + json.dumps(said) + "\n")
    sys.stdout.flush()
    os._exit(0)  # a backend that failed may wait for others at its end


if __name__ == "__main__":
    main(sys.argv[1:])
