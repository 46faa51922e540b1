"""The flags of `run` and `submit` as data: torchrun's, each honoured or refused by name, and our own.

Held against torch's own parser by a test, so that a flag torch adds is noticed.
"""

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What becomes of a flag."""

    JOB = "job"  # sets `key` of the job file
    FORM = "form"  # says what kind of thing the script is
    DISPLAY = "display"  # says what is shown
    OPTION = "option"  # is the command's own affair
    SATISFIED = "satisfied"  # accepted: what it asks for is so in any case
    REFUSED = "refused"  # `help` says what replaces it


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One flag; a switch has no metavar. Underscore spellings are understood without being in `names`.

    `help` is one line for people: what it does, why it has no effect, or what replaces it.
    """

    names: tuple[str, ...]
    metavar: str = ""
    effect: Effect
    key: str = ""
    help: str


_PLACES = "the daemon places ranks and sets MASTER_ADDR and MASTER_PORT; drop it"
_OUTPUT = "each rank's output is in a file of its own; see `dlroverctl logs JOB`, and drop it"

TORCHRUN_FLAGS = (
    Flag(names=("--nnodes",), metavar="N|MIN:MAX", effect=Effect.JOB, key="nnodes", help="nodes of the job"),
    Flag(
        names=("--nproc-per-node",),
        metavar="N|gpu|cpu|auto",
        effect=Effect.JOB,
        key="nproc_per_node",
        help="ranks on each node; the words count what the host you submit from has",
    ),
    Flag(names=("--rdzv-backend",), metavar="NAME", effect=Effect.REFUSED, help=_PLACES),
    Flag(names=("--rdzv-endpoint",), metavar="HOST:PORT", effect=Effect.REFUSED, help=_PLACES),
    Flag(
        names=("--rdzv-id",),
        metavar="ID",
        effect=Effect.JOB,
        key="run_id",
        help="TORCHELASTIC_RUN_ID; made from the job's id when left out (torchrun: none)",
    ),
    Flag(names=("--rdzv-conf",), metavar="K=V,...", effect=Effect.REFUSED, help=_PLACES),
    Flag(
        names=("--standalone",),
        effect=Effect.OPTION,
        key="standalone",
        help="run here, with a daemon and an agent of the command's own",
    ),
    Flag(
        names=("--max-restarts",),
        metavar="N",
        effect=Effect.JOB,
        key="max_restarts",
        help="restarts within --restart-window before giving up (default 3; torchrun: 0)",
    ),
    Flag(
        names=("--monitor-interval",),
        metavar="SECONDS",
        effect=Effect.SATISFIED,
        help="a rank's death is seen at once, sooner than at any interval",
    ),
    Flag(
        names=("--start-method",),
        metavar="METHOD",
        effect=Effect.SATISFIED,
        help="each rank is a new process of its own, as with torchrun, which uses this only for functions",
    ),
    Flag(
        names=("--event-log-handler",),
        metavar="NAME",
        effect=Effect.REFUSED,
        help="events are in the daemon's log; see `dlroverctl event list`, or set up a sink, and drop it",
    ),
    Flag(
        names=("--role",),
        metavar="NAME",
        effect=Effect.JOB,
        key="role",
        help="the role's name, ROLE_NAME in its ranks (default trainer; torchrun: default)",
    ),
    Flag(names=("-m", "--module"), effect=Effect.FORM, key="module", help="what follows is a Python module"),
    Flag(
        names=("--no-python",),
        effect=Effect.FORM,
        key="command",
        help="what follows is a program, not Python",
    ),
    Flag(
        names=("--run-path",),
        effect=Effect.FORM,
        key="script",
        help="what follows is a Python script, whatever its name; each rank has an interpreter of its own",
    ),
    Flag(names=("--log-dir",), metavar="DIR", effect=Effect.REFUSED, help=_OUTPUT),
    Flag(
        names=("-r", "--redirects"),
        metavar="0|3|RANK:N,...",
        effect=Effect.DISPLAY,
        key="redirects",
        help="3 does not show the output (it is in the files in any case)",
    ),
    Flag(
        names=("-t", "--tee"),
        metavar="0-3|RANK:N,...",
        effect=Effect.DISPLAY,
        key="tee",
        help="shows output that --redirects would not",
    ),
    Flag(
        names=("--local-ranks-filter",),
        metavar="RANK,...",
        effect=Effect.DISPLAY,
        key="local_ranks",
        help="shows the output of these local ranks only",
    ),
    Flag(names=("--duplicate-stdout-filters",), metavar="TEXT,...", effect=Effect.REFUSED, help=_OUTPUT),
    Flag(names=("--duplicate-stderr-filters",), metavar="TEXT,...", effect=Effect.REFUSED, help=_OUTPUT),
    Flag(names=("--node-rank",), metavar="N", effect=Effect.REFUSED, help=_PLACES),
    Flag(names=("--master-addr",), metavar="ADDRESS", effect=Effect.REFUSED, help=_PLACES),
    Flag(names=("--master-port",), metavar="PORT", effect=Effect.REFUSED, help=_PLACES),
    Flag(
        names=("--local-addr",),
        metavar="ADDRESS",
        effect=Effect.REFUSED,
        help="a node's address is set by `address` in its agent's configuration; drop it",
    ),
    Flag(names=("--logs-specs",), metavar="NAME", effect=Effect.REFUSED, help=_OUTPUT),
    Flag(
        names=("--numa-binding",),
        metavar="MODE",
        effect=Effect.REFUSED,
        help="binding comes with a later release; drop it, or run the script under numactl",
    ),
    Flag(
        names=("--signals-to-handle",),
        metavar="NAME,...",
        effect=Effect.REFUSED,
        help="ranks get TERM, then KILL after the grace, from `dlroverctl cancel` or a restart; drop it",
    ),
    Flag(
        names=("--shutdown-timeout",),
        metavar="SECONDS",
        effect=Effect.JOB,
        key="cancel_grace restart_grace",
        help="from TERM to KILL when ranks are stopped (default 30 to cancel, 1 to restart; torchrun: 30)",
    ),
    Flag(
        names=("--virtual-local-rank",),
        effect=Effect.REFUSED,
        help="every rank sees all devices its job has on the node; use LOCAL_RANK in the script, and drop it",
    ),
)

OWN_FLAGS = tuple(
    Flag(names=tuple(names.split()), metavar=metavar, effect=Effect.JOB, key=key, help=text)
    for names, metavar, key, text in (
        ("-N", "N|MIN:MAX", "nnodes", "the same as --nnodes"),
        ("--node-unit", "N", "node_unit", "nodes come and go in multiples of it"),
        ("--name", "NAME", "name", "the job's label; else made from what runs"),
        ("--env", "NAME[=VALUE]", "env", "set it in the ranks, or take yours along; may be repeated"),
        ("--secret", "NAME=FILE", "secrets", "have its value read from there, on the node; may be repeated"),
        ("--python", "PATH", "python", "the interpreter; else of $VIRTUAL_ENV, dlroverctl's (with torch), or PATH"),
        ("--workdir", "DIR", "workdir", "the working directory; else this one"),
        ("--time-limit", "DURATION", "time_limit", "how long the job may run, such as 12h"),
        ("--restart-window", "DURATION", "restart_window", "in which restarts are counted (default 1h)"),
        (
            "--progress-pattern",
            "REGEX",
            "progress_pattern",
            "finds the training step in the output; one group",
        ),
        (
            "--progress",
            "pattern|auto",
            "progress",
            "auto counts the steps of torch's optimizers, in any script",
        ),
        ("--checkpoint-pattern", "REGEX", "checkpoint_pattern", "finds the step of a complete checkpoint; one group"),
        ("--checkpoint-memory", "SIZE", "checkpoint_memory", "of each node, for the checkpoints of its ranks: 64GiB"),
        ("--priority", "N", "priority", "a higher one is placed first, and may have lower ones stopped"),
        ("--project", "NAME", "project", "who pays: quotas may be set for it"),
        ("--spares", "N", "spares", "nodes kept beside its own, for when one is lost"),
        ("--grow", "checkpoint|now|never", "grow", "when it takes more nodes, up to MAX (default checkpoint)"),
        ("--replace-wait", "DURATION", "replace_wait", "how long it rather waits for nodes than shrinks (default 60s)"),
        ("--preempt-grace", "DURATION", "preempt_grace", "from TERM to KILL when it makes room (default 60s)"),
        ("--notice-signal", "NAME", "notice_signal", "sent to its ranks when a stop is planned, such as USR1"),
        ("-w --nodelist", "NODE,...", "nodelist", "the only nodes it may have"),
        ("-x --exclude", "NODE,...", "exclude", "nodes it must not have"),
        ("-C --constraint --require", "LABEL=VALUE,...", "require", "what its nodes' labels and devices must be"),
        ("--spread", "KIND", "spread", "take its nodes evenly over domains of a kind, such as rack"),
        ("--check", "instant|light", "check", "its nodes pass node checks of this level before it starts"),
        ("--allow-mismatch", "", "allow_mismatch", "start even if its nodes have different code"),
    )
)
HELP = Flag(names=("-h", "--help"), effect=Effect.OPTION, key="help", help="show this")
