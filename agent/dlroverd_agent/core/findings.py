"""What this node finds for the daemon besides its ranks: checks before a start, silent nodes, accelerators."""

from dlroverd.model.ids import RoundKey
from dlroverd.model.job import JobSpec
from dlroverd.model.node import DeviceObservation
from dlroverd.model.world import Assignment, Desired, NodeCheck, Peer, SuspectSeen
from dlroverd_agent.core.actions import Action, CallSuspects, Check
from dlroverd_agent.core.inputs import Checked, DevicesSeen, SuspectCalled


class Findings:
    """The findings of this life of the agent; each method that takes one says whether anything changed by it."""

    def __init__(self) -> None:
        """Begin with none."""
        self._checked: dict[RoundKey, Assignment] = {}
        self._checks: dict[RoundKey, NodeCheck] = {}
        self._suspects: tuple[Peer, ...] = ()
        self._answers: dict[str, bool] = {}
        self.devices: tuple[DeviceObservation, ...] = ()

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
        before = self.checks, self.suspects
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
        return before != (self.checks, self.suspects)

    def found(self, item: Checked) -> bool:
        """Keep what a check found, unless the daemon asks for another one meanwhile."""
        round_ = item.assignment.round
        if self._checked.get(round_) != item.assignment or self._checks.get(round_) == item.check:
            return False
        self._checks[round_] = item.check
        return True

    def called(self, item: SuspectCalled) -> bool:
        """Keep whether a silent node answers."""
        named = any(each.node == item.node for each in self._suspects)
        if not named or self._answers.get(item.node) is item.answers:
            return False
        self._answers[item.node] = item.answers
        return True

    def looked(self, item: DevicesSeen) -> bool:
        """Keep how the accelerators are."""
        changed, self.devices = self.devices != item.devices, item.devices
        return changed
