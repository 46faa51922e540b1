"""`dlroverctl ckpt verify`: whether checkpoints are what was written."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from dlroverd.cli import options, output
from dlroverd.cli.ckpt.where import existing, job_or_path
from dlroverd.cli.endings import CommandError
from dlroverd.cli.output import Column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlroverd.model.checkpoint import Commit


@dataclass(frozen=True)
class _Verified:
    step: int
    folder: str
    problems: tuple[str, ...]


_COLUMNS: "tuple[Column[_Verified], ...]" = (
    Column("STEP", lambda each: str(each.step)),
    Column("FOLDER", lambda each: each.folder),
    Column("STATE", lambda each: "; ".join(each.problems) or "ok"),
)


@click.command("verify")
@job_or_path
@click.option("--step", type=click.IntRange(min=0), help="This step only.")
@options.output("table", "json", "yaml")
@options.address
def command(where: int | str, step: int | None, output_: str, address: str | None) -> None:
    """Read checkpoints and compare every byte with the checksums that were written with it.

    Of a job, those of its checkpoints that are on this host are read, under the path that the job has for them, and
    their manifests are compared with the daemon's log as well. Exit code 1: something is damaged.
    """
    if isinstance(where, int):
        with options.connect(address) as client:
            commits = client.checkpoints(where)
        verified = list(_of_job(where, commits, step))
    else:
        verified = list(_in_folder(existing(where), step))
    output.listing("checkpoints", verified, _COLUMNS, output_)
    damaged = [each.step for each in verified if each.problems]
    if damaged:
        raise CommandError(f"{len(damaged)} of {len(verified)} checkpoints are damaged; loads pass over them.")


def _in_folder(path: str, step: int | None) -> "Iterator[_Verified]":
    from dlroverd_train.vault import stored

    found = [each for each in stored.steps(path) if step in (None, each.step)]
    if not found and step is not None:
        raise CommandError(f"{path} has no checkpoint of step {step}; see `dlroverctl ckpt list {path}`.")
    for each in found:
        yield _Verified(each.step, each.folder, tuple(stored.verify(each)))


def _of_job(job: int, commits: "list[Commit]", step: int | None) -> "Iterator[_Verified]":
    """Verify what is there of a job's checkpoints; what was removed since, as retention does, is not damaged."""
    from dlroverd_train.vault import stored

    newest = {stored.folder_of(each.path, each.step): each for each in commits if step in (None, each.step)}
    there = [(each, found) for folder, each in sorted(newest.items()) if (found := stored.read(folder))]
    if not there:
        paths = ", ".join(sorted({each.path for each in newest.values()}))
        if not paths:
            raise CommandError(f"the log has no such checkpoint of job {job}; see `dlroverctl ckpt list {job}`.")
        raise CommandError(f"none of job {job}'s checkpoints is on this host: run this where {paths} is mounted.")
    for commit, found in sorted(there, key=lambda each: -each[0].step):
        problems = stored.verify(found)
        if stored.digest(found.folder) != commit.manifest:
            problems.append(f"{found.folder}: its manifest is not the one that the daemon's log has")
        yield _Verified(found.step, found.folder, tuple(problems))
