"""What this node finds for the daemon besides its ranks: checks, silent nodes, accelerators, its health, saves."""

from dlroverd.model.checkpoint import StagedCheckpoint, Verdict
from dlroverd.model.checkup import Checkup, CheckupSeen
from dlroverd.model.ids import RoundKey
from dlroverd.model.job import JobSpec
from dlroverd.model.node import DeviceObservation
from dlroverd.model.signal import Signal
from dlroverd.model.world import Assignment, Desired, NodeCheck, Observed, Peer, SuspectSeen
from dlroverd_agent.core.actions import Action, CallSuspects, Check, MakeCheckups, TellVault
from dlroverd_agent.core.inputs import Checked, CheckupMade, DevicesSeen, SavesStaged, SignalsHeard, SuspectCalled

Finding = Checked | SuspectCalled | DevicesSeen | SignalsHeard | SavesStaged | CheckupMade


class Findings:
    """The findings of this life of the agent."""

    def __init__(self) -> None:
        """Begin with none."""
        self._checked: dict[RoundKey, Assignment] = {}
        self._checks: dict[RoundKey, NodeCheck] = {}
        self._suspects: tuple[Peer, ...] = ()
        self._answers: dict[str, bool] = {}
        self._verdicts: tuple[Verdict, ...] = ()
        self._saves: dict[int, tuple[StagedCheckpoint, ...]] = {}
        self._checkups: tuple[Checkup, ...] = ()
        self._made: dict[int, CheckupSeen] = {}
        self.devices: tuple[DeviceObservation, ...] = ()
        self.signals: tuple[Signal, ...] = ()

    def told(self) -> Observed:
        """Give all of them, as the daemon is told; what else is observed is not in it."""
        return Observed(
            version=0,
            checks=self.checks,
            suspects=self.suspects,
            devices=self.devices,
            staged=self.staged,
            signals=self.signals,
            checkups=tuple(self._made.values()),
        )

    @property
    def staged(self) -> tuple[StagedCheckpoint, ...]:
        """What the vaults of this node have staged."""
        return tuple(save for job in sorted(self._saves) for save in self._saves[job])

    @property
    def checks(self) -> tuple[NodeCheck, ...]:
        """What was found of the worlds that this node holds part of."""
        return tuple([self._checks[each] for each in sorted(self._checks)])

    @property
    def suspects(self) -> tuple[SuspectSeen, ...]:
        """Which of the silent nodes answer."""
        return tuple([SuspectSeen(node=node, answers=self._answers[node]) for node in sorted(self._answers)])

    def wanted(self, desired: Desired, actions: list[Action]) -> bool:
        """Begin what the daemon asks for and did not ask before; let go of what it does not ask for any more."""
        before = self.told()
        assigned = {each.round: each for each in desired.assignments}
        for round_, asked in list(self._checked.items()):
            now = assigned.get(round_)
            if now is None or (now.checking and now != asked):
                del self._checked[round_]
                self._checks.pop(round_, None)
        specs: dict[int, JobSpec] = {each.job: each.spec for each in desired.jobs}
        for each in desired.assignments:
            if each.checking and each.round not in self._checked:
                self._checked[each.round] = each
                actions.append(Check(each, specs[each.round.job]))
        if desired.suspects != self._suspects:
            self._suspects = desired.suspects
            named = {each.node for each in desired.suspects}
            self._answers = {node: answers for node, answers in self._answers.items() if node in named}
            actions.append(CallSuspects(desired.suspects))
        if desired.verdicts != self._verdicts:
            self._verdicts = desired.verdicts
            for job in self._saves:
                self._tell(job, actions)
        if desired.checkups != self._checkups:
            self._checkups = desired.checkups
            wanted = {each.id for each in desired.checkups}
            self._made = {number: seen for number, seen in self._made.items() if number in wanted}
            actions.append(MakeCheckups(tuple((each, specs.get(each.job)) for each in desired.checkups)))
        return before != self.told()

    def take(self, item: Finding, actions: list[Action]) -> bool:
        """Keep what was found; whether anything changed by it."""
        match item:
            case Checked():
                return self._checked_now(item)
            case SuspectCalled():
                return self._called(item)
            case SavesStaged():
                before = self._saves.get(item.job, ())
                self._saves[item.job] = item.saves
                if not item.saves:
                    del self._saves[item.job]
                self._tell(item.job, actions)
                return before != item.saves
            case CheckupMade():
                wanted = any(each.id == item.seen.id for each in self._checkups)
                if wanted:
                    self._made[item.seen.id] = item.seen
                return wanted
            case DevicesSeen():
                changed, self.devices = self.devices != item.devices, item.devices
                return changed
            case SignalsHeard():
                changed, self.signals = self.signals != item.signals, item.signals
                return changed

    def _checked_now(self, item: Checked) -> bool:
        """Keep what a check found, unless the daemon asks for another one meanwhile."""
        round_ = item.assignment.round
        if self._checked.get(round_) != item.assignment or self._checks.get(round_) == item.check:
            return False
        self._checks[round_] = item.check
        return True

    def _called(self, item: SuspectCalled) -> bool:
        """Keep whether a silent node answers."""
        named = any(each.node == item.node for each in self._suspects)
        if not named or self._answers.get(item.node) is item.answers:
            return False
        self._answers[item.node] = item.answers
        return True

    def _tell(self, job: int, actions: list[Action]) -> None:
        """Pass on what is known to become of a job's staged saves."""
        staged = {(each.path, each.save) for each in self._saves.get(job, ())}
        actions += [TellVault(each) for each in self._verdicts if each.job == job and (each.path, each.save) in staged]
