"""`dlroverctl ckpt list`: which checkpoints there are."""

from typing import TYPE_CHECKING, Any

import click

from dlroverd.cli import options, output
from dlroverd.cli.ckpt.where import existing, job_or_path
from dlroverd.cli.output import Column

if TYPE_CHECKING:
    from dlroverd_train.vault.stored import Stored

    from dlroverd.model.checkpoint import Commit

_COMMITTED: "tuple[Column[Commit], ...]" = (
    Column("STEP", lambda commit: str(commit.step)),
    Column("SIZE", lambda commit: output.size(commit.size_bytes)),
    Column("COMMITTED", lambda commit: output.clock(commit.at)),
    Column("GANG", lambda commit: f"{commit.round.role}/{commit.round.gang}"),
    Column("ROUND", lambda commit: str(commit.round.round)),
    Column("NODE", lambda commit: commit.node),
    Column("PATH", lambda commit: commit.path),
    Column("SAVE", lambda commit: commit.save, wide=True),
    Column("MANIFEST", lambda commit: commit.manifest, wide=True),
)


@click.command("list")
@job_or_path
@options.output(*output.FORMATS)
@options.address
def command(where: int | str, output_: str, address: str | None) -> None:
    """List the checkpoints that the daemon's log has of a job, or those in a folder of this host.

    Of a job, the newest hundred are listed, whether they are still there or not; in a folder, what is whole by name and
    size. `ckpt verify` reads them.
    """
    if isinstance(where, int):
        with options.connect(address) as client:
            output.listing("checkpoints", client.checkpoints(where), _COMMITTED, output_)
        return
    from dlroverd_train.vault import stored

    found = stored.steps(existing(where))
    if output_ in ("json", "yaml"):
        output.document("checkpoints", {"checkpoints": [_plain(each) for each in found]}, output_)
    else:
        columns: tuple[Column[Stored], ...] = (
            Column("STEP", lambda each: str(each.step)),
            Column("SIZE", lambda each: output.size(_size(each))),
            Column("FOLDER", lambda each: each.folder),
            Column("STATE", lambda each: "; ".join(stored.missing(each)) or "complete"),
            Column("SAVE", lambda each: each.id, wide=True),
        )
        output.listing("checkpoints", found, columns, output_)


def _plain(each: "Stored") -> dict[str, Any]:
    from dlroverd_train.vault import stored

    return {
        "step": each.step,
        "save": each.id,
        "folder": each.folder,
        "size_bytes": _size(each),
        "metric": each.metric,
        "problems": stored.missing(each),
    }


def _size(each: "Stored") -> int:
    return sum(int(file["size"]) for file in each.files)
