"""What rules have concluded of the worlds that run. Questions about the state; changes nothing."""

from dlroverd.core.records import DiagnosisKey, DiagnosisRecord
from dlroverd.core.state import State
from dlroverd.core.turn import LIVE_GANG
from dlroverd.model.ids import GangKey, RoundKey


def is_live(state: State, round_: RoundKey) -> bool:
    """Whether a world is the newest of its gang, and not being stopped."""
    gang = state.gangs.get(round_.gang_key)
    return gang is not None and gang.round == round_.round and gang.state in LIVE_GANG


def standing(state: State, gang: GangKey) -> list[tuple[DiagnosisKey, DiagnosisRecord]]:
    """Give what stands of a gang, of an older world too."""
    return [(key, record) for key, record in sorted(state.diagnoses.items()) if key.gang == gang]


def of_job(state: State, job: int) -> list[tuple[DiagnosisKey, DiagnosisRecord]]:
    """Give what stands of the worlds of a job that run."""
    return [(key, each) for key, each in _running(state) if key.gang.job == job]


def of_node(state: State, node: str) -> list[tuple[DiagnosisKey, DiagnosisRecord]]:
    """Give what names a node, of worlds that run."""
    return [(key, each) for key, each in _running(state) if key.node == node]


def _running(state: State) -> list[tuple[DiagnosisKey, DiagnosisRecord]]:
    return [(key, each) for key, each in sorted(state.diagnoses.items()) if is_live(state, each.round)]
