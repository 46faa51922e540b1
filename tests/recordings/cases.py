"""The failures that make.py lets happen, each a script that its ranks run (or a command) with nothing of ours in it."""

from dataclasses import dataclass

_BEGIN = """
import datetime, os, signal, time
import torch, torch.distributed as dist
rank = int(os.environ["RANK"])
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=8))
dist.barrier()
"""
_KILLED = _BEGIN + "if rank == 1: os.kill(os.getpid(), signal.SIGKILL)\ntime.sleep(0.5)\n"
_NOBODY = "import os, resource, threading, time\nos.setgid(65534), os.setuid(65534)\n"
_LOADER = """
import os, signal
import torch, torch.utils.data
class Data(torch.utils.data.Dataset):
    def __len__(self): return 64
    def __getitem__(self, index): {item}
for batch in torch.utils.data.DataLoader(Data(), batch_size=16, num_workers=2): pass
"""


@dataclass(frozen=True)
class Case:
    """`script` is train.py; with `argv` that runs instead, for one as ./program, made of `cpp`.

    `ranks` are started, of a world of `world`.

    `around` is a command that the interpreter's is put behind; it may use `small`, a 1 MB file system.
    """

    script: str = ""
    cpp: str = ""
    argv: tuple[str, ...] = ()
    ranks: tuple[int, ...] = (0,)
    world: int = 2
    around: tuple[str, ...] = ()
    port_taken: bool = False


def _both(script: str) -> Case:
    return Case(script, ranks=(0, 1))


def _exits(code: int) -> Case:
    return Case(f"import sys\nprint('giving up')\nsys.exit({code})\n")


def _raises(signal: str) -> Case:
    return Case(f"import os, signal\nprint('step 7', flush=True)\nos.kill(os.getpid(), signal.{signal})\n")


_FOUR = _BEGIN + "if rank == 2: {fails}\ndist.all_reduce(torch.ones(1000))\n"
_TINY_SHM = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=64k tmpfs /dev/shm && exec "$@"', "sh")

CASES = {
    # A rank is killed, and its peer waits for it in one way or another.
    "all_reduce": _both(_KILLED + "dist.all_reduce(torch.ones(1000))\n"),
    "barrier": _both(_KILLED + "dist.barrier()\n"),
    "broadcast": _both(_KILLED + "dist.broadcast(torch.ones(1000), src=1)\n"),
    "monitored_barrier": _both(_KILLED + "dist.monitored_barrier()\n"),
    "ddp_backward": _both(
        _KILLED.replace("dist.barrier()\n", "ddp = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(9, 9))\n")
        + "ddp(torch.ones(2, 9)).sum().backward()\n"
    ),
    "wrapped_peer_lost": _both(
        _KILLED
        + "class TrainingError(Exception): pass\n"
        + "try: dist.all_reduce(torch.ones(1000))\n"
        + "except RuntimeError as error: raise TrainingError('step 3 failed') from error\n"
    ),
    "recv_timeout": _both(
        _BEGIN.replace("=8", "=2") + "if rank == 1: time.sleep(10)\ndist.all_reduce(torch.ones(1000))\n"
    ),
    "peer_absent": Case(_BEGIN.replace("=8", "=2")),
    "store_refused": Case(_BEGIN.replace("=8", "=2"), ranks=(1,)),
    "port_taken": Case(_BEGIN, port_taken=True),
    # By the script itself, after the launcher had looked.
    "port_taken_late": Case(
        "import os, socket\nheld = socket.create_server(('', int(os.environ['MASTER_PORT'])))\n" + _BEGIN
    ),
    # Four ranks, of which one fails by itself and three of that, within a second.
    "one_of_four_raises": Case(_FOUR.format(fails="raise ValueError('bad shape at 3')"), ranks=(0, 1, 2, 3), world=4),
    "one_of_four_exits": Case(_FOUR.format(fails="os._exit(1)"), ranks=(0, 1, 2, 3), world=4),
    # Python's own.
    "import_error": Case("import torch\nfrom torch import nothing_like_this\n"),
    "module_not_found": Case("import nothing_like_this\n"),
    "syntax_error": Case("import os\nx = = 1\n"),
    "missing_script": Case(argv=("python", "nothing.py")),
    "missing_module": Case(argv=("python", "-m", "nothing_like_this")),
    "bad_arguments": Case(
        "import argparse\np = argparse.ArgumentParser()\n"
        "p.add_argument('--lr', type=float)\np.parse_args(['--lr', 'x'])\n"
    ),
    "exception": Case("def train(step):\n    raise ValueError(f'bad shape at {step}')\ntrain(7)\n"),
    "chained_exception": Case(
        "def load():\n    try: return {}['weights']\n"
        "    except KeyError as error: raise RuntimeError('no weights') from error\nload()\n"
    ),
    "exception_group": Case(
        "def go(n): raise ValueError(n)\nfound = []\n"
        "for n in range(2):\n    try: go(n)\n    except ValueError as e: found.append(e)\n"
        "raise ExceptionGroup('two readers failed', found)\n"
    ),
    "keyboard_interrupt": Case("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n"),
    "exit_with_words": Case("import sys\nsys.exit('no data in /data')\n"),
    "no_cuda_in_torch": Case("import torch\ntorch.ones(1, device='cuda')\n"),
    # What a host ran out of.
    "memory_error": Case(
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\nx = bytearray(4 << 30)\n"
    ),
    "torch_cannot_allocate": Case(
        "import resource, torch\nresource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))\nx = torch.ones(16 << 30)\n"
    ),
    "disk_full": Case("import os\nopen(os.environ['SMALL'] + '/x', 'wb').write(bytes(4 << 20))\n"),
    "disk_full_torch_save": Case(
        "import os, torch\ntorch.save({'w': torch.ones(1 << 20)}, os.environ['SMALL'] + '/model.pt')\n"
    ),
    "open_files": Case(
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n"
        "kept = [open('/dev/null') for _ in range(99)]\n"
    ),
    "no_thread": Case(
        _NOBODY
        + "resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))\nthreading.Thread(target=time.sleep, args=(1,)).start()\n"
    ),
    "no_fork": Case(_NOBODY + "resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))\nos.fork()\n"),
    "shared_memory": Case(_LOADER.format(item="return torch.ones(3, 224, 224)"), around=_TINY_SHM),
    "permission": Case(_NOBODY + "open('/root/model.pt', 'wb')\n"),
    # Data loaders.
    "loader_worker_raises": Case(_LOADER.format(item="raise ValueError(f'bad record {index}')")),
    "loader_worker_killed": Case(_LOADER.format(item="os.kill(os.getpid(), signal.SIGKILL)")),
    # Signals.
    "segv": Case("import torch, ctypes\nctypes.string_at(0)\n"),
    "abort": Case("import os\nprint('what(): bad state', flush=True)\nos.abort()\n"),
    "bus": Case(
        "import mmap, os, tempfile\nf = tempfile.TemporaryFile()\nf.truncate(8192)\nm = mmap.mmap(f.fileno(), 8192)\n"
        "f.truncate(0)\nprint(m[0])\n"
    ),
    "ill": Case(
        "import ctypes, mmap\ncode = mmap.mmap(-1, 4096, prot=7)\ncode.write(bytes([0x0F, 0x0B]))\n"
        "ctypes.CFUNCTYPE(None)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()\n"
    ),
    "fpe": _raises("SIGFPE"),
    "kill": _raises("SIGKILL"),
    "term": _raises("SIGTERM"),
    "hup": _raises("SIGHUP"),
    "cpp_exception": Case(
        cpp='#include <stdexcept>\nint main() { throw std::runtime_error("bad state"); }\n', argv=("./program",)
    ),
    "cpp_no_memory": Case(cpp="int main() { volatile long n = 1L << 60; (void)new char[n]; }\n", argv=("./program",)),
    # Exit codes, of a shell's and of DLRover's.
    **{f"exit_{code}": _exits(code) for code in (1, 3, 14, 128, 201, 202, 247)},
    "shell_child_killed": Case(argv=("sh", "-c", "sleep 60 & kill -9 $!; wait $!; exit $?")),
    "shell_child_crashed": Case(argv=("sh", "-c", "python -c 'import ctypes; ctypes.string_at(0)'; exit $?")),
    "shell_not_found": Case(argv=("sh", "-c", "nothing-like-this --lr 3")),
    "shell_not_executable": Case(argv=("sh", "-c", "/etc/passwd")),
    # What never became a rank.
    "no_program": Case(argv=("/nothing/like/this",)),
    "no_permission_to_run": Case(argv=("/etc/passwd",)),
}
