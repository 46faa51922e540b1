"""Which of DLRover's predefined events have no counterpart here, and why; the others are named by our schemas.

Names are those of `dlrover/python/training_event` and of the reporter's actions, behind who sends them: `controller`,
`elastic` and `worker` are those of the unified runtime on Ray, `declared` are named in the code and sent by nothing.
"""

from types import MappingProxyType
from typing import Final

_RAY = "Ray's: ranks here are processes of their hosts, so there are no actors and no placement groups to make"
_DAEMON = "the daemon serves all jobs and is no part of one: its start and end are in its own journal"
_SCRIPT = "a rank runs the user's script as it is: what it imports and calls is its own (`user.` events may say so)"

ABSENT: Final = MappingProxyType(
    {
        "master.master_start": _DAEMON,
        "master.master_exit": _DAEMON,
        "action.master_start": _DAEMON,
        "action.master_end": _DAEMON,
        "controller.inited": _DAEMON,
        "elastic.inited": _DAEMON,
        "controller.saving": "the daemon's state is a fold of its log: nothing is saved apart from it",
        "controller.loading_state": "the daemon's state is a fold of its log: nothing is loaded apart from it",
        "controller.creating_placement_group": _RAY,
        "controller.creating_actors": _RAY,
        "controller.setup_actors": _RAY,
        "elastic.setup_workloads": _RAY,
        "elastic.init_process_group": _SCRIPT,
        "worker.import_user_entrypoint": _SCRIPT,
        "worker.instantiate_user_class": _SCRIPT,
        "action.pre_check_disable": "checks of a world cannot be turned off",
    }
)
