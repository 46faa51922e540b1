"""Ends of what never became a rank, and ends that systemd or the kernel told the agent of."""

from dlroverd.core.classify.rule import Rule, any_of
from dlroverd.model.fault import PORT_TAKEN, CauseKind

LAUNCH = (
    Rule(
        name="launch.port_taken",
        kind=CauseKind.PORT_TAKEN,
        says="found its MASTER_PORT taken",
        launch=any_of(rf"^{PORT_TAKEN}$"),
    ),
    Rule(
        name="launch.permission",
        kind=CauseKind.PERMISSION,
        says="could not be started: {launch}",
        remedy="let the job's user run it and enter its working directory",
        launch=any_of("Permission denied"),
    ),
    Rule(name="launch.failed", kind=CauseKind.LAUNCH, says="could not be started: {launch}", launch=any_of(".")),
    Rule(
        name="systemd.timeout",
        kind=CauseKind.LAUNCH,
        says="was ended by systemd, since its unit took too long to start",
        remedy="see `journalctl` of that node",
        results=frozenset({"timeout"}),
        requested=False,
    ),
    Rule(
        name="systemd.resources",
        kind=CauseKind.LAUNCH,
        says="could not be set up by systemd",
        remedy="see `journalctl` of that node for what its unit lacked",
        results=frozenset({"resources", "protocol", "exec-condition", "start-limit-hit"}),
    ),
)

KERNEL = (
    Rule(
        name="memory.oom",
        kind=CauseKind.OUT_OF_MEMORY,
        says="ran out of memory: the kernel killed it or a process of its own",
        remedy="give the job more (`memory`) or have it take less",
        results=frozenset({"oom-kill"}),
    ),
    Rule(
        name="systemd.watchdog",
        kind=CauseKind.HANG,
        says="was ended by systemd's watchdog, which it had stopped feeding",
        remedy="its last lines of output say how far it had got",
        results=frozenset({"watchdog"}),
    ),
)
