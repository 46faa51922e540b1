"""The checkpointer of a rank: steps go into the vault's memory, and from there to storage."""

from __future__ import annotations

import hashlib
import io
import math
import os
import threading
import time
import weakref
from typing import Any, NamedTuple

from torch.distributed.checkpoint import DefaultSavePlanner
from torch.distributed.checkpoint.stateful import Stateful

from dlroverd_train import events
from dlroverd_train.checkpoint import _planning, _slots
from dlroverd_train.checkpoint._meeting import AbsentError, Meeting
from dlroverd_train.checkpoint._reading import Save, parts_in
from dlroverd_train.checkpoint.restoring import Loaded, Place, Restorer, Unloadable
from dlroverd_train.vault.client import UnavailableError, Vault, find, free_memory
from dlroverd_train.vault.retention import Keep, wrong_with

# Seconds that a rank whose state has a new shape waits for the others in one save. If only its own has, they come at
# their next save, which they may not reach without this rank.
_TURN = 30.0
_LINGER = 30.0  # seconds that a vault of our own waits for ranks to come back


class CheckpointError(Exception):
    """A checkpoint cannot be made or loaded; one sentence. Checkpoints that there are stay as they are."""


class Saved(NamedTuple):
    """What `save` did on this rank."""

    step: int
    in_memory: bool
    """The step is whole in this rank's arena."""
    persisting: bool
    """The vault is bringing it to storage; `wait` tells what becomes of that."""
    planned: bool
    """The state had a new shape, so that all ranks made a new plan."""
    waited: float
    """Seconds spent waiting for a slot that was being persisted."""
    why: str
    """Why the step is not in memory, or not being persisted, as asked; empty if all is well."""


class Persisted(NamedTuple):
    """What became of a step that was to be persisted: the folder it is in, or why there is none."""

    step: int
    folder: str
    failed: str
    removed: list[int]
    """The older steps that made room, as `keep` says. Known beside rank 0 only, like what follows."""
    left: list[str]
    """Why others of them are there still, a sentence each."""


class Checkpointer:
    """Saves to and loads from `path`; made, and called, by all ranks together.

    `memory` is what this node's ranks may use in all, in bytes: it is set aside at once and brought in ahead of the
    first save. Without it, up to half of the memory that is free is used as needed. Under dlroverd the job's
    `checkpoint_memory` is what counts. Every rank needs room for two slots of its state; with three, saving never waits
    for one step that is being persisted.

    `on_busy` says what `save` does when every slot that it may write is being persisted: "wait" for one, or "skip" the
    step. `bandwidth` bounds what this node writes to storage, in bytes a second. `patience` is how many seconds ranks
    wait for each other where they must agree. `name` keeps two checkpointers of one path apart. `keep` says which steps
    stay in storage when another is committed; without it all do.

    Raises CheckpointError if there is no vault and none can be started.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "",
        keep: Keep | None = None,
        memory: int | None = None,
        on_busy: str = "wait",
        bandwidth: float = 0.0,
        patience: float = 300.0,
    ) -> None:
        if on_busy not in {"wait", "skip"}:
            raise CheckpointError(f"on_busy is {on_busy!r}: it must be 'wait' or 'skip'")
        if keep and (wrong := wrong_with(keep)):
            raise CheckpointError(wrong)
        self.path = os.path.realpath(path)
        self.last_load: Loaded | None = None
        self._on_busy, self._bandwidth, self._patience, self._budget = on_busy, bandwidth, patience, memory
        self._keep = keep
        self._meeting = Meeting()
        self._local = int(os.environ.get("LOCAL_RANK", self._meeting.rank))
        self._ranks = int(os.environ.get("LOCAL_WORLD_SIZE", self._meeting.world))
        self._session = hashlib.sha256(f"{self.path}\0{name}".encode()).hexdigest()[:16]
        self._threads = _slots.threads_for(self._ranks)
        self._arena: _slots.Arena | None = None
        self._agreed: _planning.Agreed | None = None
        self._shape: tuple[Any, ...] = ()
        self._generation = self._sequence = self._loads = self._whole = 0
        self._asked: list[tuple[int, str]] = []
        try:
            self._attach()
        except UnavailableError as error:
            raise CheckpointError(str(error)) from error

    def save(self, step: int, state: dict[str, Any], *, persist: bool = False, metric: float | None = None) -> Saved:
        """Copy the state into memory, as training step `step`; returns when nothing done to it later can change that.

        With `persist`, the vault brings it to storage meanwhile; rank 0's `metric` says how good it is, for `keep`.
        Call it on all ranks, with the same step.
        Raises CheckpointError if the state cannot be kept, or there is not enough memory for it.
        """
        if self._meeting.rank:
            return self._save(step, state, persist, metric)
        with events.save(step):  # how long rank 0 waits for it is what an interval is worked out from
            return self._save(step, state, persist, metric)

    def _save(self, step: int, state: dict[str, Any], persist: bool, metric: float | None) -> Saved:
        self._sequence += 1
        planner = DefaultSavePlanner()
        flat = {key: each.state_dict() if isinstance(each, Stateful) else each for key, each in state.items()}
        planner.set_up_planner(flat, None, self._meeting.rank == 0)
        try:
            self._attach_anew()
            planned = self._plan(planner)
        except (UnavailableError, AbsentError, _planning.OutdatedError) as error:
            return Saved(step, False, False, False, 0.0, str(error))
        assert self._agreed  # noqa: S101 - planned
        blobs = self._serialized(planner, self._agreed)
        arena = self._arena_for(self._agreed, blobs)
        slot, waited = self._slot(arena)
        if slot is None:
            return Saved(step, False, False, planned, waited, "every slot is being persisted: this step was skipped")
        name = _slots.Step(step, self._sequence, self._meeting.token)
        arena.write(slot, name, planner, blobs, self._threads)
        self._settle(arena)
        why = self._persist(arena, slot, step, metric) if persist else ""
        return Saved(step, True, persist and not why, planned, waited, why)

    def load(self, state: dict[str, Any]) -> int | None:
        """Load the newest checkpoint into the state, in place; give its step, None if there is none.

        What memory of all ranks holds comes before storage, and an older one in storage after one that fails;
        `last_load` tells more. Call it on all ranks. Raises CheckpointError if there are checkpoints and none loads.
        """
        if self._meeting.rank:
            return self._load(state)
        with events.load_ckpt(path=self.path) as telling:  # what rank 0 says is so for all
            step = self._load(state)
            assert self.last_load  # noqa: S101 - a load that returns sets it
            _, source, attempts, passed_over, persisting, _ = self.last_load
            body = {"step": step, "source": source, "attempts": attempts, "passed_over": passed_over}
            body["persisting"] = persisting
            telling.end(body, severity="warning" if passed_over else "info")
            return step

    def _load(self, state: dict[str, Any]) -> int | None:
        self._loads += 1
        try:
            self._attach_anew()
            known = self._vault.ask("arenas")["arenas"]
            arenas = [(at, self._memory.arena(at, size)) for at, size, _ in known]
            parts = parts_in(arenas)
            restorer = Restorer(self._meeting, self._loads, self._patience, self._threads)
            self.last_load, save = restorer.load(state, parts, self.path)
            place = None
            if save and save.timeline != self._meeting.token.hex():  # of these ranks before a restart
                place = restorer.alone(save, parts.get(save, []), self.path, self._where())
        except (UnavailableError, AbsentError, Unloadable) as error:
            raise CheckpointError(str(error)) from error
        self._restored = {(part.at, part.slot) for part in parts.get(save, ())} if save else set()
        if save and place:
            why = self._ask(save, place, None)
            self.last_load = self.last_load._replace(persisting=not why, why=why)
        return self.last_load.step

    def wait(self, timeout: float | None = None) -> list[Persisted]:
        """Wait until everything that was to be persisted is in storage, or is not going to be; tell it step by step.

        Raises CheckpointError when `timeout` seconds are over first.
        """
        until = None if timeout is None else time.monotonic() + timeout
        done = []
        while self._asked:
            step, save = self._asked[0]
            try:
                answer = self._vault.ask("outcome", path=self.path, save=save, within=1.0)
            except UnavailableError as error:
                answer = {"state": "failed", "says": f"step {step} was not persisted: {error}"}
            if answer["state"] != "running":
                del self._asked[0]
                says = str(answer.get("says", f"step {step} was not persisted: the vault that had it has ended"))
                folder = says if answer["state"] == "committed" else ""
                pruned = (answer.get("removed", []), answer.get("left", []))
                done.append(Persisted(step, folder, "" if folder else says, *pruned))
            elif until is not None and time.monotonic() > until:
                raise CheckpointError(f"step {step} is still being persisted after {timeout:g} s")
        return done

    def close(self) -> None:
        """Let go of the vault; what is in its memory stays there for the next run of this rank."""
        self._closing()

    def _attach(self) -> None:
        run = _run() or self._meeting.token.hex()
        memory = self._budget or free_memory() // 2
        where = find(run, memory, ranks=self._ranks, warm=self._budget is not None, linger=_LINGER)
        about = {"path": self.path, "keep": self._keep, "bandwidth": self._bandwidth}
        self._vault = Vault(where, self._session, self._meeting.rank, self._local, about)
        self._closing = weakref.finalize(self, self._vault.close)
        self._memory = _slots.Memory(self._vault.descriptor, self._vault.size)
        self._arena, self._restored, self._whole = None, set[tuple[int, int]](), 0
        if self._vault.warm:
            share = (self._vault.share_at, self._vault.share)
            threading.Thread(target=self._memory.populate, args=share, daemon=True).start()

    def _attach_anew(self) -> None:
        """Find or start another vault if ours has ended; what it held is gone."""
        if self._vault.lost():
            self._closing()
            self._attach()

    def _plan(self, planner: DefaultSavePlanner) -> bool:
        """Make a new plan with the other ranks if this one's state, or another's, has a new shape."""
        shape = _planning.shape_of(planner.state_dict)
        wanted = f"plan-wanted/{self._generation + 1}"
        if self._agreed and shape == self._shape:
            try:
                if not self._meeting.told(wanted):
                    return False
            except AbsentError:
                return False  # rank 0 has ended: nobody makes a new plan any more
        self._meeting.tell(wanted, b"")
        within = min(self._patience, _TURN) if self._agreed else self._patience
        try:
            self._agreed = _planning.agree(self._meeting, self._generation + 1, planner, self._where(), within)
        except _planning.PlanError as error:
            self._generation += 1
            raise CheckpointError(str(error)) from error
        except _planning.OutdatedError:
            self._generation += 1
            self._shape = ()
            raise
        self._generation += 1
        self._shape, self._arena = shape, None
        return True

    def _serialized(self, planner: DefaultSavePlanner, agreed: _planning.Agreed) -> list[bytes]:
        """Give the values that are no tensors as torch.save makes them."""
        blobs = []
        for item in agreed.items[len(agreed.plan.tensors) :]:
            try:
                value = planner.resolve_data(item)
            except Exception as error:  # whatever a stranger's object raises while it is serialized
                raise CheckpointError(f"{item.index.fqn} cannot be serialized: {error}") from error
            assert isinstance(value, io.BytesIO)  # noqa: S101 - what the planner makes of such an item
            blobs.append(value.getvalue())
        return blobs

    def _arena_for(self, agreed: _planning.Agreed, blobs: list[bytes]) -> _slots.Arena:
        """Give the arena of the plan: ours, the one that this rank had before a restart, or a new one."""
        if self._arena and self._arena.holds(blobs):
            return self._arena
        room = 2 * sum(map(len, blobs))
        least, most = (_slots.arena_size(agreed, room, slots) for slots in (2, 3))
        plan = agreed.digest.hex()
        new = self._arena is not None
        try:
            while True:
                given = self._vault.ask(
                    "arena", least=least, most=most, plan=plan, near=self._vault.share_at, new=new,
                    node=agreed.node, nodes=agreed.nodes,
                )  # fmt: skip
                arena = _slots.Arena(given["at"], self._memory.arena(given["at"], given["size"]), agreed)
                if given["fresh"] or arena.unmade():
                    arena.make()
                if arena.known() and arena.holds(blobs):
                    break
                new = True
        except UnavailableError as error:
            raise CheckpointError(str(error)) from error
        arena.latest = next((slot for at, slot in self._restored if at == arena.at), None)
        self._arena, self._whole = arena, 0
        return arena

    def _slot(self, arena: _slots.Arena) -> tuple[int | None, float]:
        """Take a slot, by the policy for when there is none; give it and the seconds that it took."""
        slot = arena.claim(self._meeting.token)
        if slot is not None or self._on_busy == "skip":
            return slot, 0.0
        begun = time.monotonic()
        while slot is None:
            try:
                self._vault.ask("thawed", at=arena.at, slots=arena.candidates(), within=5.0)
            except UnavailableError as error:
                raise CheckpointError(str(error)) from error
            slot = arena.claim(self._meeting.token)
        return slot, time.monotonic() - begun

    def _settle(self, arena: _slots.Arena) -> None:
        """Let go of older arenas at the second save into a new one: ranks that train together have the first then."""
        self._whole += 1
        if self._whole == 2:
            try:
                self._vault.ask("retire", keep=arena.at, local=arena.agreed.plan.local)
            except UnavailableError:
                pass  # the next save sees that the vault has ended

    def _persist(self, arena: _slots.Arena, slot: int, step: int, metric: float | None) -> str:
        save = Save(step, self._meeting.token.hex(), self._sequence, "", self._meeting.world)
        return self._ask(save, Place(arena.at, slot, arena.agreed.node, arena.agreed.nodes), metric)

    def _ask(self, save: Save, place: Place, metric: float | None) -> str:
        """Have the vault persist a save; say why it does not."""
        name = f"{save.timeline[:8]}-{save.sequence}"
        try:
            self._vault.ask(
                "persist", path=self.path, step=save.step, save=name, **place._asdict(), bandwidth=self._bandwidth,
                keep=self._keep, metric=None if metric is None or math.isnan(metric) else float(metric),
            )  # fmt: skip
        except UnavailableError as error:
            return str(error)
        if (save.step, name) not in self._asked:
            self._asked.append((save.step, name))
        return ""

    def _where(self) -> str:
        return f"{_boot()} {self._vault.path} {self._vault.pid}"


def _run() -> str:
    """Name the run equally for all ranks of this node, under torchrun also after a restart; empty if it has no name."""
    run = os.environ.get("TORCHELASTIC_RUN_ID", "")
    if "DLROVERD_ROUND" in os.environ:  # each rank has a parent of its own, and what it starts ends with it
        return f"{run}:{os.environ['DLROVERD_ROUND']}"
    return f"{run}:{os.getppid()}:{_started(os.getppid())}" if run else ""


def _started(pid: int) -> str:
    """Say when a process was started: a process id alone may come again."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[19]


def _boot() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
