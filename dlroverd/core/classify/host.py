"""What a host ran out of, or did not allow: memory, shared memory, disk, files, processes, permissions."""

from dlroverd.core.classify.rule import Rule, said
from dlroverd.model.fault import CauseKind

_MORE_MEMORY = "give the job more memory (`memory`) or have it take less"

HOST = (
    Rule(
        name="memory.shared",
        kind=CauseKind.HOST_LIMIT,
        says="ran out of shared memory ({line})",
        remedy="make /dev/shm larger on that node, or use fewer data loader workers",
        said=said(
            "out of shared memory",
            "unable to*shared memory",
            "unable to write to file </torch_",
            "unable to resize file </torch_",
            "No space left on device: '/dev/shm",
        ),
    ),
    Rule(
        name="disk.full",
        kind=CauseKind.DISK_FULL,
        says="found a disk full ({line})",
        remedy="free space where it writes",
        said=said(
            "No space left on device",
            "[Errno 28]",
            # How torch.save says it.
            "PytorchStreamWriter failed writing",
            "inline_container.cc*unexpected pos",
        ),
    ),
    Rule(
        name="disk.quota",
        kind=CauseKind.DISK_FULL,
        says="is over its user's disk quota ({line})",
        remedy="delete what is not needed, or ask for a larger quota",
        said=said("Disk quota exceeded", "[Errno 122]"),
    ),
    Rule(
        name="limit.files",
        kind=CauseKind.HOST_LIMIT,
        says="had too many files open ({line})",
        remedy="close what is not needed, or torch.multiprocessing.set_sharing_strategy('file_system')",
        said=said("Too many open files", "received*items of ancdata"),
    ),
    Rule(
        name="limit.processes",
        kind=CauseKind.HOST_LIMIT,
        says="could not start another process or thread ({line})",
        remedy="raise `tasks` of the role or the user's process limit, or use fewer workers",
        said=said(
            "can't start new thread",
            "pthread_create failed",
            "BlockingIOError: [Errno 11] Resource temporarily unavailable",
            "Cannot fork",
        ),
    ),
    Rule(
        name="memory.python",
        kind=CauseKind.OUT_OF_MEMORY,
        says="was refused memory ({error})",
        remedy=_MORE_MEMORY,
        types=frozenset({"MemoryError", "_ArrayMemoryError", "bad_alloc"}),
    ),
    Rule(
        name="memory.refused",
        kind=CauseKind.OUT_OF_MEMORY,
        says="was refused memory ({line})",
        remedy=_MORE_MEMORY,
        said=said(
            "DefaultCPUAllocator: can't allocate memory",
            "DefaultCPUAllocator: not enough memory",
            "Cannot allocate memory",
            "std::bad_alloc",
        ),
    ),
    Rule(
        name="loader.killed",
        kind=CauseKind.SIGNAL,
        says="lost a data loader worker ({line})",
        remedy="most often for memory: see `dmesg` of that node, and use fewer workers or give the job more",
        said=said("DataLoader worker (pid*is killed by signal", "DataLoader worker (pid*exited unexpectedly"),
    ),
    Rule(
        name="permission.denied",
        kind=CauseKind.PERMISSION,
        says="was not allowed to do something ({error})",
        remedy="let the job's user do it on every node",
        types=frozenset({"PermissionError"}),
    ),
)
