"""`dlroverctl config timeouts`: every limit, where it is set, and what happens when it is reached."""

from typing import TYPE_CHECKING

import click

from dlroverd.cli import options, output
from dlroverd.cli.output import Column

if TYPE_CHECKING:
    from dlroverd.config.timeouts import Timeout

_COLUMNS: "tuple[Column[Timeout], ...]" = (
    Column("KEY", lambda timeout: timeout.key),
    Column("VALUE", lambda timeout: timeout.value),
    Column("FILE", lambda timeout: timeout.file),
    Column("SET", lambda timeout: "yes" if timeout.is_set else "default", wide=True),
    Column("WHEN REACHED", lambda timeout: timeout.fires),
)


@click.command("timeouts")
@click.argument("job_file", required=False, type=click.Path())
@click.option("--daemon-config", type=click.Path(), help="Instead of the one in /etc/dlroverd.")
@click.option("--agent-config", type=click.Path(), help="Instead of the one in /etc/dlroverd.")
@options.output(*output.FORMATS)
def command(job_file: str | None, daemon_config: str | None, agent_config: str | None, output_: str) -> None:
    """List every limit with what happens when it is reached; of a job with those of JOB_FILE."""
    from dlroverd.config import agent, daemon
    from dlroverd.config.document import Document
    from dlroverd.config.jobfile import draft
    from dlroverd.config.timeouts import timeouts
    from dlroverd.config.yaml_source import read_file

    job = draft(read_file(job_file)) if job_file else draft(Document("job file"))
    sections = {
        daemon_config or daemon.DEFAULT_PATH: daemon.load_daemon_config(daemon_config),
        agent_config or agent.DEFAULT_PATH: agent.load_agent_config(agent_config),
        job.document.name: job.job,
    }
    output.listing("timeouts", timeouts(sections), _COLUMNS, output_)
