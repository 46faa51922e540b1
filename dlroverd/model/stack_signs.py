"""What one rank does, by its stack: it waits for the others, it stands still, it turns on the spot, or it works."""

import re
from dataclasses import dataclass

from dlroverd.model.hang import HangKind, Phase
from dlroverd.model.stacks import Frame, ProcessStack, RankStack, ThreadStack, python_frames

# Where a rank waits for others: files of Python code, and what native calls are made of.
_WAITS_IN = ("torch/distributed/", "torch/nn/parallel/distributed.py", "torch/autograd/graph.py")
_WAITS_NATIVE = re.compile(r"c10d::|gloo::|nccl|ProcessGroup|TCPStore|cu(da)?(Stream|Event|Ctx|Device)Synchronize")
_WAITS_CALL = re.compile(r"(all_|reduce_|_)?(reduce|gather|scatter|broadcast|barrier|synchronize|send|recv)\w*$")
_COMPILES_IN = ("torch/_dynamo/", "torch/_inductor/", "torch/_functorch/", "triton/", "jax/_src/interpreters/")
_SAVES_IN = ("torch/serialization.py", "torch/distributed/checkpoint/", "safetensors/")
_SAVES_CALL = re.compile(
    r"\b_?(save|write|dump|export)_?(\w*_)?(check_?points?|ckpts?|models?|state(_dict)?|weights)?$"
)
_EVALUATES_CALL = re.compile(r"(^|_|\b)(eval|evaluate|evaluation|validate|validation|valid|predict|generate)(_|$)")
_LOADER = "torch/utils/data/dataloader.py"
_LOADER_CALLS = ("_try_get_data", "_get_data", "_next_data")
_IO = re.compile(r"read|write|pipe|unix_stream|sk_wait|tcp_|nfs|fuse|folio|fsync|flock|open|io_")
_IO_CALL = re.compile(
    r"^(__)?(libc_)?(read|pread|write|pwrite|recv|recvfrom|recvmsg|open|openat|fsync|flock|fcntl)(64)?$"
)
# A loop that calls a thing or two moves so many calls of its stack, and no more.
_LOOP = 2
_LIBRARIES = ("torch/", "numpy/", "transformers/", "sklearn/", "<frozen")


@dataclass(frozen=True, slots=True)
class Doing:
    """What a rank does. `text` goes on from "rank 3 on n2"; `place` is the call of the user's own code that led to it.

    `phase` is what its stack shows to be at work, "" if nothing. `ended`: it is no more.
    """

    kind: HangKind
    text: str
    place: str = ""
    phase: str = ""
    ended: bool = False


def doing(stack: RankStack) -> Doing:
    """Tell what a rank does."""
    if not stack.processes:
        return Doing(HangKind.ABSENT, f"could not be looked at: {stack.problem}")
    process, thread = stack.processes[0], stack.main
    if process.state in ("T", "t"):
        by = "by a signal (SIGSTOP), and nothing lets it go on" if process.state == "T" else "by a debugger"
        return Doing(HangKind.STOPPED, f"is stopped {by}")
    if not process.state or process.state in ("Z", "X"):
        return Doing(HangKind.ABSENT, "has ended", ended=True)
    frames = python_frames(thread)
    if process.state == "D":
        return Doing(HangKind.KERNEL, _in_kernel(process, frames), phase=_phase(frames))
    if thread is None or not frames:
        return Doing(HangKind.ABSENT, f"could not be looked at: {process.problem or 'it has no Python stack'}")
    if _waits(thread, process):
        place = _place(frames)
        return Doing(HangKind.COLLECTIVE, f"waits for others in {_call(frames[0])}, called at {place}", place)
    if any(frame.file.endswith(_LOADER) and frame.function.endswith(_LOADER_CALLS) for frame in frames[:8]):
        return _loads(stack, frames)
    return _alone(thread, process, frames)


def _alone(thread: ThreadStack, process: ProcessStack, frames: tuple[Frame, ...]) -> Doing:
    """Tell what a rank does that waits for no other."""
    phase, at = _phase(frames), _at(frames)
    still = process.looks > 1 and thread.moved == 0
    if process.state == "R" and process.looks > 1 and _on_the_spot(thread, frames):
        return Doing(HangKind.SPINNING, f"turns on the spot in {at}", phase=phase)
    if not still:
        busy = {Phase.CHECKPOINT: "saves", Phase.EVALUATE: "evaluates", Phase.FIRST_STEP: "compiles"}
        return Doing(HangKind.WORKING, f"{busy.get(Phase(phase)) if phase else 'works'} in {at}", phase=phase)
    native = next((frame for frame in thread.frames if frame.native and _IO_CALL.search(frame.function)), None)
    if native is not None or _IO.search(process.wchan):
        return Doing(HangKind.IO, f"is blocked on I/O ({process.wchan or native}) in {at}", phase=phase)
    return Doing(HangKind.IDLE, f"waits for something of its own in {at}", phase=phase)


def _loads(stack: RankStack, frames: tuple[Frame, ...]) -> Doing:
    """Tell of a rank that waits for its data what the workers that are to bring it do."""
    at = _place(frames)
    for worker in stack.processes[1:]:
        calls = python_frames(worker.threads[0]) if worker.threads else ()
        if any(call.function.endswith("Queue.get") or call.function == "get" for call in calls[:6]):
            continue  # it has nothing to do
        if worker.state == "R":
            return Doing(HangKind.WORKING, f"waits for its data loader, whose worker {worker.pid} works ({at})")
        where = f" in {_at(calls)}" if calls else ""
        return Doing(HangKind.LOADER, f"waits for its data loader, whose worker {worker.pid} is stuck{where}")
    return Doing(HangKind.LOADER, f"waits for data that no worker of its data loader brings ({at})")


def _waits(thread: ThreadStack, process: ProcessStack) -> bool:
    frames = python_frames(thread)
    native = next(
        (frame.function for frame in thread.frames if frame.native and _WAITS_NATIVE.search(frame.function)), ""
    )
    inner = frames[0]
    in_library = inner.file.startswith(_WAITS_IN) and not inner.file.startswith(_SAVES_IN)
    if native or (in_library and _WAITS_CALL.search(inner.function)):
        return True
    return in_library and process.state == "S" and thread.moved == 0


def _on_the_spot(thread: ThreadStack, frames: tuple[Frame, ...]) -> bool:
    inner = frames[: thread.moved]
    return thread.moved <= min(_LOOP, len(frames) - 1) and not any(f.file.startswith(_LIBRARIES) for f in inner)


def _phase(frames: tuple[Frame, ...]) -> str:
    for frame in frames:
        name = frame.function.rpartition(".")[2]
        if frame.file.startswith(_COMPILES_IN):
            return Phase.FIRST_STEP
        if frame.file.startswith(_SAVES_IN) or (not frame.file.startswith("torch/") and _SAVES_CALL.search(name)):
            return Phase.CHECKPOINT
        if not frame.file.startswith("torch/") and _EVALUATES_CALL.search(name):
            return Phase.EVALUATE
    return ""


def _in_kernel(process: ProcessStack, frames: tuple[Frame, ...]) -> str:
    where = f" in {_at(frames)}" if frames else ""
    return f"is stuck in the kernel ({process.wchan or 'where is not told'}){where}"


def _at(frames: tuple[Frame, ...]) -> str:
    """Name the innermost call, and the user's own that led to it."""
    place = _place(frames)
    return str(frames[0]) if str(frames[0]) == place else f"{frames[0]}, called at {place}"


def _place(frames: tuple[Frame, ...]) -> str:
    own = next((frame for frame in frames if not frame.file.startswith(_LIBRARIES)), frames[-1])
    return str(own)


def _call(frame: Frame) -> str:
    return frame.function.rpartition(".")[2]
