"""What a survey found on this host, held against what is recorded of this node's ranks.

A survey takes a while, and ranks start and end meanwhile. So a difference counts when a second survey, begun after
the first one's end, finds it again and what is recorded of the rank did not change in between.
"""

from collections.abc import Callable, Mapping

from dlroverd.model.difference import KEPT, Difference, DifferenceKind
from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from dlroverd.model.world import RankObservation
from dlroverd_agent.core.actions import Action, EndLeft, FindEnd, SurveyAgain
from dlroverd_agent.core.inputs import Surveyed, SurveyFailed

_Doubts = dict[tuple[RankKey, DifferenceKind], RankObservation | None]


class Comparison:
    """The differences of this life of the agent. `found` are the newest, oldest first.

    A stray, a rank that runs and is not recorded, is listed until it has ended: to end it may be the daemon's affair.
    `surveyed` is the newest audit of this session since which a survey has ended, and left no doubt.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.found: tuple[Difference, ...] = ()
        self._doubts: _Doubts = {}
        self._told: _Doubts = {}
        self._strays: set[RankKey] = set()
        self._failure = ""
        self._audit = self.surveyed = 0

    @property
    def told(self) -> tuple[tuple[Difference, ...], int]:
        """What the daemon is told of surveys."""
        return self.found, self.surveyed

    def new_session(self) -> None:
        """Begin with no audit: each session counts its own."""
        self._audit = self.surveyed = 0

    def audited(self, number: int, actions: list[Action]) -> bool:
        """Take the number of the newest audit; whether that is another one, for which a survey begins soon."""
        if number == self._audit:
            return False
        self._audit = number
        actions.append(SurveyAgain())
        return True

    def take(
        self,
        item: Surveyed | SurveyFailed,
        recorded: Mapping[RankKey, RankObservation],
        over: Callable[[RankKey], bool],
        actions: list[Action],
    ) -> list[RankObservation]:
        """Compare; give the strays that came or ended. `over` tells of a rank whether its round was stopped here."""
        if isinstance(item, SurveyFailed):
            if item.why != self._failure:  # once, however many in a row fail so
                self._note(DifferenceKind.SURVEY_FAILED, item.why, "", item.at)
            self._failure, self.surveyed = item.why, self._audit
            return []
        self._failure = ""
        if item.file:
            self._note(DifferenceKind.FILE_CHANGED, item.file, "it is written again", item.at)
        doubts = _doubts(item, recorded)
        sure = {each: was for each, was in doubts.items() if each in self._doubts and self._doubts[each] == was}
        if doubts.keys() - sure.keys():
            actions.append(SurveyAgain())
        else:
            self.surveyed = self._audit
        for (key, kind), was in sorted(sure.items(), key=lambda each: each[0]):
            if kind is DifferenceKind.VANISHED:
                actions.append(FindEnd(key))
            elif kind is DifferenceKind.LEFT_OVER or over(key):
                actions.append(EndLeft(key))
            if (key, kind) not in self._told or self._told[key, kind] != was:
                self._note(kind, *_said(key, kind, over=over(key)), item.at)
        self._doubts, self._told = doubts, sure
        return self._changed({key for key, kind in sure if kind is DifferenceKind.STRAY}, item)

    def _changed(self, strays: set[RankKey], item: Surveyed) -> list[RankObservation]:
        lost = ExitInfo(exited_at=item.at, lost="it was not recorded, and is not there any more")
        came, went = strays - self._strays, self._strays - item.alive
        self._strays = (self._strays | came) - went
        return [
            *(RankObservation(key=key, state=RankState.RUNNING) for key in sorted(came)),
            *(RankObservation(key=key, state=RankState.GONE, exit=lost) for key in sorted(went)),
        ]

    def _note(self, kind: DifferenceKind, what: str, mended: str, at: float) -> None:
        self.found = (*self.found, Difference(kind=kind, what=what, mended=mended, at=at))[-KEPT:]


def _doubts(item: Surveyed, recorded: Mapping[RankKey, RankObservation]) -> _Doubts:
    doubts: _Doubts = {(key, DifferenceKind.STRAY): None for key in item.alive - recorded.keys()}
    for key, seen in recorded.items():
        if seen.state is RankState.RUNNING and key not in item.alive:
            doubts[key, DifferenceKind.VANISHED] = seen
        elif seen.state is RankState.GONE and key in item.alive:
            doubts[key, DifferenceKind.LEFT_OVER] = seen
    return doubts


def _said(key: RankKey, kind: DifferenceKind, *, over: bool) -> tuple[str, str]:
    match kind:
        case DifferenceKind.VANISHED:
            return f"{key} was recorded as running, and no process of it is there", "it counts as ended, not as done"
        case DifferenceKind.LEFT_OVER:
            return f"{key} was recorded as gone, and processes of it are there", "they are killed"
        case _ if over:
            return f"{key} runs and is not recorded, and its round is over", "it is killed"
    return f"{key} runs and is not recorded", ""
