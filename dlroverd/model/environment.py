"""The environment of a rank: torchrun's contract, so that a script written for torchrun needs no change.

Names and meaning are those of torch/distributed/elastic/agent/server/local_elastic_agent.py (torch 2.13). Pure:
what depends on the host is passed in.
"""

from collections.abc import Mapping

from dlroverd.model.ids import RoundKey
from dlroverd.model.job import JobSpec, ProgressFrom, RoleSpec
from dlroverd.model.world import Assignment, JobDescriptor

_OF_ONE_ROUND = {"MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_ERROR_FILE"}
_OURS = "DLROVERD_"
_RANK_PATH = "DLROVERD_RANK_PATH"


def rank_environment(
    job: JobDescriptor,
    assignment: Assignment,
    local_rank: int,
    *,
    node: str,
    error_file: str,
    progress_file: str,
    notice_file: str,
    saves_file: str,
    events_file: str,
    interface: str = "",
    counter: str = "",
    checkpoint_socket: str = "",
) -> dict[str, str]:
    """Build the environment of one rank of an assignment (`local_rank` in 0..nproc-1).

    The job's own environment is the base, the contract wins over it. ROLE_RANK and ROLE_WORLD_SIZE equal RANK and
    WORLD_SIZE: RANK is per gang, and a gang is of one role. `interface` is the one by which the other nodes of the
    world are reached, "" if none is to be named. `counter` is the folder of what looks on within the rank: counts the
    steps of a job with `progress: auto`, and notes what is imported for warm spares (dlroverd_train/rank_path).
    `checkpoint_socket` is that of the job's vault on the node, "" if there is none. Raises KeyError if the job lacks
    the role.
    """
    if not 0 <= local_rank < assignment.nproc:
        raise ValueError(f"local rank {local_rank} is not below {assignment.nproc}")
    spec = job.spec
    round_ = assignment.round
    rank = assignment.first_rank + local_rank
    role = spec.role(round_.role)
    contract = {
        "RANK": str(rank),
        "LOCAL_RANK": str(local_rank),
        "WORLD_SIZE": str(assignment.world_size),
        "LOCAL_WORLD_SIZE": str(assignment.nproc),
        "GROUP_RANK": str(assignment.group_rank),
        "GROUP_WORLD_SIZE": str(assignment.group_world_size),
        "ROLE_NAME": round_.role,
        "ROLE_RANK": str(rank),
        "ROLE_WORLD_SIZE": str(assignment.world_size),
        "MASTER_ADDR": assignment.master_addr,
        "MASTER_PORT": str(assignment.master_port),
        **_elastic(spec, assignment.restart_count),
        "TORCHELASTIC_ERROR_FILE": error_file,
        **_whose(round_, rank, node),
        "DLROVERD_PROGRESS_FILE": progress_file,  # where dlroverd_train leaves the newest step
        "DLROVERD_NOTICE_FILE": notice_file,  # where it reads that, and why, it will be stopped
        "DLROVERD_SAVES_FILE": saves_file,  # where it reads at which steps it is to save
        "DLROVERD_EVENTS_FILE": events_file,  # where it says what it does; "" if that cannot be had
    }
    granted = {**_granted(assignment, checkpoint_socket), **_looks_on(spec, role, counter)}
    return {**_defaults(assignment, interface), **role.env, **contract, **granted}


def _granted(assignment: Assignment, checkpoint_socket: str) -> dict[str, str]:
    """What a job has of the node, where it has any."""
    granted = {
        "CUDA_VISIBLE_DEVICES": ",".join(assignment.devices),
        "DLROVERD_CHECKPOINT_SOCKET": checkpoint_socket,
    }
    return {name: value for name, value in granted.items() if value}


def _elastic(spec: JobSpec, restarts: int) -> dict[str, str]:
    return {
        "TORCHELASTIC_RESTART_COUNT": str(restarts),
        "TORCHELASTIC_MAX_RESTARTS": str(spec.max_restarts),
        "TORCHELASTIC_RUN_ID": spec.run_id,
        # Rank 0 serves the store itself, a new one each round: one that outlives a round gives new ranks the
        # addresses of dead ones, and hangs them (research/measurements.md section 1).
        "TORCHELASTIC_USE_AGENT_STORE": "False",
    }


def _whose(round_: RoundKey, rank: int, node: str) -> dict[str, str]:
    return {
        "DLROVERD_JOB": str(round_.job),
        "DLROVERD_ROLE": round_.role,
        "DLROVERD_GANG": str(round_.gang),
        "DLROVERD_ROUND": str(round_.round),
        "DLROVERD_NODE": node,
        "DLROVERD_UNIT": round_.rank(rank).unit,
    }


def keeps_spares(role: RoleSpec) -> bool:
    """Tell whether warm spares are kept for a role. A lease is guarded from before a rank's program: none then."""
    return role.warm_spares and not role.lease_s


def lasting(environment: Mapping[str, str]) -> dict[str, str]:
    """Give what of a rank's environment imports may depend on: the same in the next round of the same world.

    What is ours alone is not of it, but for what has to be there before anything is imported.
    """
    return {name: value for name, value in environment.items() if name not in _OF_ONE_ROUND and not _is_read_late(name)}


def _is_read_late(name: str) -> bool:
    return name.startswith(_OURS) and name != _RANK_PATH


def _looks_on(spec: JobSpec, role: RoleSpec, counter: str) -> dict[str, str]:
    """Have what looks on within the rank come first; it takes itself away again before the script begins."""
    tasks = ["steps"] * (spec.progress is ProgressFrom.AUTO) + ["imports"] * keeps_spares(role)
    if not (counter and tasks):
        return {}
    path = ":".join(filter(None, (counter, role.env.get("PYTHONPATH", ""))))
    return {"PYTHONPATH": path, _RANK_PATH: " ".join(tasks)}


def _defaults(assignment: Assignment, interface: str) -> dict[str, str]:
    """What a job may set otherwise."""
    defaults = {
        "TORCH_NCCL_ASYNC_ERROR_HANDLING": "1",
        # Not torchrun's: output goes to a file here, where Python would hold back kilobytes of it: progress would be
        # seen late, and the last lines before a kill never.
        "PYTHONUNBUFFERED": "1",
    }
    if assignment.nproc > 1:
        defaults["OMP_NUM_THREADS"] = "1"  # torchrun's rule: ranks of one host must not fight for its cores
    if interface:
        # Without it gloo takes the address of the host's name, often loopback, and NCCL may take a network not shared.
        # NCCL reads a bare name as a prefix, so that eth1 would be eth10 too; gloo knows no sign for "exactly".
        defaults["GLOO_SOCKET_IFNAME"] = interface
        defaults["NCCL_SOCKET_IFNAME"] = f"={interface}"
    return defaults
