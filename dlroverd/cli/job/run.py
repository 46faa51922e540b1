"""`dlroverctl job run`: submit a job and stay with it, here or on the fleet."""

import os
import queue
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from dlroverd.cli import endings, following, sentences
from dlroverd.cli.embedded import embedded
from dlroverd.cli.following import Inbox, Signalled
from dlroverd.cli.options import connect
from dlroverd.cli.output import notice
from dlroverd.cli.printing import NO_PREFIX, Prefix, printer
from dlroverd.cli.submission import Submission, WordsCommand, read

if TYPE_CHECKING:
    from dlroverd.client import Client
    from dlroverd.model.view import JobView, LogChunk

# A second Ctrl-C within this time is meant for the job.
_SECOND_PRESS_S = 2.0
_FLAGS = (("--no-prefix", "", "leave out the rank before each line of output"),)


@click.pass_context
def _run(context: click.Context, words: tuple[str, ...]) -> int:
    submission = read(context, words, _FLAGS)
    with following.signals() as inbox:
        if "standalone" in submission.options:
            return _here(submission, inbox)
        with connect(submission.options["address"]) as client:
            job = client.submit(submission.spec)
            notice(f"job {job} ({submission.spec.name}) submitted; Ctrl-C lets go of it")
            return _ended(_follow(client, job, submission, inbox, _Fleet(client, job, inbox)))


def _here(submission: Submission, inbox: Inbox) -> int:
    with embedded(submission.spec, inbox) as here:
        job = here.client.submit(submission.spec)
        watcher = _Standalone(here.client, job)
        last = _follow(here.client, job, submission, inbox, watcher)
        code = _ended(last)
        if code:
            notice(f"its output and logs are kept in {here.folder}")
        return watcher.code or code


def _ended(job: "JobView") -> int:
    if job.state != "succeeded":
        notice(sentences.ending(job))
    return endings.of_job(job)


def _follow(
    client: "Client", job: int, submission: Submission, inbox: Inbox, watcher: "_Fleet | _Standalone"
) -> "JobView":
    notices = sentences.Notices()

    def seen(view: "JobView") -> None:
        watcher.view = view
        notices(view)

    return following.follow(
        client, job, inbox, on_view=seen, on_chunk=_printer(submission), on_signal=watcher.signalled
    )


def _printer(submission: Submission) -> "Callable[[LogChunk], None]":
    """Print the output of the local ranks that are to be shown."""
    display, roles = submission.display, submission.spec.roles
    nproc = {role.name: role.nproc_per_node for role in roles}

    def shows(role: str, rank: int) -> bool:
        return display.shows(rank % nproc[role])

    ranks = (
        (role.name, gang, rank)
        for role in roles
        for gang in range(role.gangs)
        for rank in range(role.nodes_max * role.nproc_per_node)
        if shows(role.name, rank)
    )
    on_many_nodes = any(role.nodes_max > 1 for role in roles)
    write = printer(NO_PREFIX if "no_prefix" in submission.options else Prefix(ranks, with_node=on_many_nodes))

    def printed(chunk: "LogChunk") -> None:
        if shows(chunk.role, chunk.rank):
            write(chunk)

    return printed


class _Standalone:
    """The job belongs to the terminal: a signal stops it, a second one hurries."""

    def __init__(self, client: "Client", job: int) -> None:
        self.view: JobView | None = None
        self.code = 0
        self._client = client
        self._job = job

    def signalled(self, number: int) -> None:
        """Cancel the job; what has not stopped by the second signal is killed, and its shims see to the rest."""
        if not self.code:
            self.code = 128 + number
            notice("stopping the job; again to kill it")
            self._client.cancel(self._job)
            return
        for rank in sentences.ranks(self.view) if self.view is not None else ():
            if rank.pid and rank.state in ("starting", "running"):
                with suppress(ProcessLookupError):
                    os.kill(rank.pid, signal.SIGKILL)


class _Fleet:
    """The job belongs to the fleet: a signal lets go of it, a second Ctrl-C soon after cancels it."""

    def __init__(self, client: "Client", job: int, inbox: Inbox) -> None:
        self.view: JobView | None = None
        self._client = client
        self._job = job
        self._inbox = inbox

    def signalled(self, number: int) -> None:
        """Let go: end the command."""
        if number == signal.SIGINT:
            notice(f"job {self._job} goes on (`dlroverctl logs {self._job} -f`); Ctrl-C again cancels it")
            if self._pressed_again():
                self._client.cancel(self._job)
                notice(f"job {self._job} cancelled")
        raise click.exceptions.Exit(128 + number)

    def _pressed_again(self) -> bool:
        end_s = time.monotonic() + _SECOND_PRESS_S
        while (left_s := end_s - time.monotonic()) > 0:
            try:
                if isinstance(self._inbox.get(timeout=left_s), Signalled):
                    return True
            except queue.Empty:
                break
        return False


command = WordsCommand(
    "run",
    _FLAGS,
    callback=_run,
    help="Run a job and show its output until it ends.\n\nWith --standalone here, without any daemon; "
    "else on the fleet, where Ctrl-C lets go of it.",
    short_help="Run a job and show its output until it ends.",
)
