"""The program: its commands, and the one place where errors become sentences and exit codes."""

import signal
import sys

import click

from dlroverd.cli import endings
from dlroverd.cli.groups import LazyGroup
from dlroverd.cli.options import root_address

_COMMANDS = {
    **{
        name: f"dlroverd.cli.{name}"
        for name in (
            "job",
            "node",
            "ckpt",
            "event",
            "sink",
            "plugin",
            "automation",
            "token",
            "state",
            "setup",
            "config",
            "sim",
        )
    },
    "run": "dlroverd.cli.job.run",
    "submit": "dlroverd.cli.job.submit",
    "ps": "dlroverd.cli.job.list",
    "logs": "dlroverd.cli.job.logs",
    "why": "dlroverd.cli.job.why",
    "doctor": "dlroverd.cli.doctor",
    "demo": "dlroverd.cli.demo",
    "completion": "dlroverd.cli.completion",
    "version": "dlroverd.cli.version",
}
_HINTS = {
    "squeue": "job list",
    "sacct": "job list",
    "scancel": "job cancel JOB",
    "sbatch": "submit SCRIPT",
    "srun": "run SCRIPT",
    "sinfo": "node list",
    "get": "job list` or `dlroverctl node list",
    "describe": "job status JOB",
}

root = LazyGroup(
    "dlroverctl",
    _COMMANDS,
    "Run training jobs that survive, and see what became of them.",
    aliases={"jobs": "job", "nodes": "node", "ckpts": "ckpt", "events": "event", "plugins": "plugin", "sinks": "sink"},
    hints=_HINTS,
    params=[root_address],
)


def main() -> None:
    """Run the command line and exit."""
    sys.exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    """Run a command line and give its exit code; raises only what is a bug."""
    try:
        return int(root.main(words, prog_name="dlroverctl", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 128 + signal.SIGINT
    except Exception as error:  # the program's outer edge: known errors become a sentence, ours keep their trace
        explained = endings.explain(error)
        if explained is None:
            click.echo("dlroverctl: this is a bug in dlroverctl; please report it with what follows.", err=True)
            raise
        sentence, code = explained
        for line in sentence.splitlines():
            click.echo(f"dlroverctl: {line}", err=True)
        return code


if __name__ == "__main__":
    main()
