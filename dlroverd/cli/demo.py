"""`dlroverctl demo`: a real training run loses a rank to `kill -9` and finishes all the same, or says what went wrong.

It goes the way that `run --standalone` goes; nothing in daemon, agent or script knows that this is a demo.
"""

import os
import random
import re
import signal
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlroverd.cli import following, options, output, sentences
from dlroverd.cli.embedded import embedded
from dlroverd.cli.endings import CommandError
from dlroverd.cli.printing import Lines

if TYPE_CHECKING:
    from dlroverd.client import Client
    from dlroverd.model.fault import Cause
    from dlroverd.model.job import JobSpec
    from dlroverd.model.view import JobView, LogChunk, PhasesView, RankView

_EPOCHS, _STEPS, _SAVE_EVERY = 5, 110, 10
_STEP_DELAY_S = 0.05  # so that there is something to see, and to kill in the middle
_LEAST_ACCURACY = 0.95
_UNKNOWN_SHARE = 0.05
_MEANINGS = {
    "detect": "until the daemon knew that the rank had died",
    "stop": "until the other rank had been heard and was gone",
    "decide": "until it was decided what follows",
    "wait": "until it was known where the new ranks go",
    "start": "until both new processes ran",
    "load": "imports, the checkpoint, the first step of training",
    "recompute": "until training was where it had been",
    "unknown": "what could not be seen",
    "total": "from the kill until training was where it had been",
}


@click.command("demo")
@options.output("text", "json")
def command(output_: str) -> int:
    """Train on two ranks, kill one of them in the middle, and see what happens.

    Runs examples/digits.py with a daemon and an agent of its own; takes about half a minute.
    """
    with tempfile.TemporaryDirectory(prefix="dlroverd-demo-") as checkpoints:
        spec = _spec(checkpoints)
        with (
            following.signals() as inbox,
            output.Progress(_STEPS, err=output_ == "json") as progress,
            embedded(spec, inbox) as here,
        ):
            job = here.client.submit(spec)
            demo = _Demo(here.client, job, progress)
            last = following.follow(
                here.client,
                job,
                inbox,
                on_view=demo.seen,
                on_chunk=Lines(demo.printed),
                on_signal=_interrupted,
            )
            wrong = judged(last, killed=demo.killed, resumed_from=demo.resumed_from, accuracy=demo.accuracy)
            _conclude(demo, last, progress, folder=here.folder if wrong else None)
    if output_ == "json":
        facts = {"killed_rank": demo.killed, "resumed_from": demo.resumed_from, "accuracy": demo.accuracy}
        output.document("demo", {**sentences.job_document(last), **facts, "wrong": wrong}, "json")
    if wrong:
        raise CommandError("the demo did not go as it should: " + "; ".join(wrong) + ".")
    return 0


def _spec(checkpoints: str) -> "JobSpec":
    from dlroverd.config.jobfile import draft
    from dlroverd.config.resolve import Submitter, resolve
    from dlroverd.config.run_flags import parse

    script = Path(__file__).parents[2] / "examples" / "digits.py"
    if not script.exists():
        raise CommandError(f"{script} is not there; the demo runs from a checkout of dlroverd.")
    missing = [name for name in ("torch", "numpy", "sklearn") if find_spec(name) is None]
    if missing:
        raise CommandError(f"the demo trains with {', '.join(missing)}, not installed here; run `make install`.")
    flags = ["--nproc-per-node", "2", "--name", "digits-demo", "--python", sys.executable]
    args = ["--epochs", str(_EPOCHS), "--save-every", str(_SAVE_EVERY), "--step-delay", str(_STEP_DELAY_S)]
    line = parse([*flags, str(script), *args, "--checkpoint-dir", checkpoints])
    return resolve(draft(line.document), Submitter.current())


def _interrupted(number: int) -> None:
    raise click.exceptions.Exit(128 + number)


class _Demo:
    """What was seen of the run, and the kill in its middle."""

    def __init__(self, client: "Client", job: int, progress: output.Progress) -> None:
        self.killed: int | None = None
        self.resumed_from = 0
        self.accuracy = 0.0
        self._client = client
        self._job = job
        self._progress = progress
        self._kill_after = random.randrange(3, 7) * _SAVE_EVERY  # noqa: S311 - any step will do
        self._notices = sentences.Notices(progress.say)
        progress.say(f"Training {_STEPS} steps on 2 ranks; one of them will be killed after step {self._kill_after}.")

    def seen(self, view: "JobView") -> None:
        """Take the job's next view."""
        self._notices(view)

    def printed(self, _: "LogChunk", lines: list[bytes]) -> None:
        """Take lines of the script's output."""
        for line in lines:
            text = line.decode(errors="replace")
            if found := re.fullmatch(r"epoch \d+ step (\d+) loss (\S+)", text):
                self._progress.at(int(found[1]), f"training, loss {found[2]}, step")
            elif found := re.fullmatch(r"saved checkpoint at step (\d+)", text):
                if self.killed is None and int(found[1]) >= self._kill_after:
                    self._kill()
            elif found := re.fullmatch(r"resumed from step (\d+)", text):
                self.resumed_from = int(found[1])
                self._progress.say(f"Training resumed from step {self.resumed_from}.")
            elif found := re.fullmatch(r"accuracy (\S+)", text):
                self.accuracy = float(found[1])

    def _kill(self) -> None:
        rank: RankView = random.choice(list(sentences.ranks(self._client.job(self._job))))  # noqa: S311
        self.killed = rank.rank
        self._progress.say(f"kill -9 {rank.pid}  (rank {rank.rank})")
        os.kill(rank.pid, signal.SIGKILL)


def judged(job: "JobView", *, killed: int | None, resumed_from: int, accuracy: float) -> list[str]:
    """Name everything that is not as the demo promises."""
    checks: list[tuple[bool, str]] = [
        (job.state == "succeeded", f"the job {job.state}: {job.reason}"),
        (len(job.incidents) == 1, f"there were {len(job.incidents)} incidents instead of one"),
        (resumed_from > 0, "training did not resume from a saved step"),
        (accuracy >= _LEAST_ACCURACY, f"the accuracy is {accuracy:.4f}, below {_LEAST_ACCURACY}"),
    ]
    for incident in job.incidents[:1]:
        blamed = _is_blamed(killed, incident.cause)
        checks += [(blamed, f"rank {killed} was killed, and not named as the cause"), *_phases(incident.phases)]
    return [text for right, text in checks if not right]


def _is_blamed(killed: int | None, cause: "Cause | None") -> bool:
    if cause is None or cause.rank is None or cause.exit is None:
        return False
    return cause.rank.rank == killed and cause.exit.signal == signal.SIGKILL


def _phases(phases: "PhasesView") -> list[tuple[bool, str]]:
    values: dict[str, Any] = {name: getattr(phases, name) for name in sentences.PHASES}
    unseen = [name for name, value in values.items() if value is None]
    if unseen:
        return [(False, f"these phases were not seen: {', '.join(unseen)}")]
    total = values.pop("total")
    return [
        (abs(sum(values.values()) - total) < 1e-3, f"the phases do not add up to {total:.2f} s"),
        (phases.unknown is not None and phases.unknown < _UNKNOWN_SHARE * total, "too much of the incident is unknown"),
    ]


def _conclude(demo: _Demo, last: "JobView", progress: output.Progress, folder: Path | None) -> None:
    for incident in last.incidents:
        progress.say("\nWhat the kill cost:")
        for name, text in sentences.timed(incident.phases):
            progress.say(f"  {name.replace('_', ' '):<11}{text:>7} s   {_MEANINGS[name]}")
    progress.say(
        f"\nFinal accuracy {demo.accuracy:.4f}, after {last.restarts} restart, resumed from step {demo.resumed_from}."
    )
    if folder is not None:
        progress.say(f"Output and logs are kept in {folder}.")
        return
    progress.say(
        "\nThe same by hand, with a kill of your own:\n"
        "  dlroverctl run --standalone --nproc-per-node 2 examples/digits.py --epochs 5 --step-delay 0.1\n"
        "README.md shows a fleet on one machine, `dlroverctl --help` the commands."
    )
