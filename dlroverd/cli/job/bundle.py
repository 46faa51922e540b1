"""`dlroverctl job bundle`: one archive with all that tells why a job is as it is."""

import click

from dlroverd.cli import options, output
from dlroverd.cli.archive import Archive


@click.command("bundle")
@options.job
@click.option(
    "-o", "--output", "path", metavar="FILE", help="The archive to write.  [default: dlroverd-job-JOB.tar.gz here]"
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@options.address
def command(job: int, path: str | None, force: bool, address: str | None) -> None:
    """Write one archive that tells why a job is as it is, to be read elsewhere or handed on.

    Events, `why`, status, spec, versions, nodes, kernel lines, and the last lines of each rank. What looks like a
    secret is hidden, as are all values of the job's environment but known harmless ones. What could not be had is
    named in it, in missing.txt.
    """
    from dlroverd.cli.bundle import Bundle

    path = path or f"dlroverd-job-{job}.tar.gz"
    with options.connect(address) as client, Archive(path, f"dlroverd-job-{job}", force=force) as archive:
        bundle = Bundle(client, archive, job)
        steps = bundle.steps()
        with output.Progress(len(steps), err=True) as progress:
            for done, (name, step) in enumerate(steps):
                progress.at(done, name)
                bundle.take(name, step)
        size_bytes = archive.close()
    click.echo(f"{path}: {output.size(size_bytes)}, {len(archive.files)} files")
    if bundle.missing:
        output.notice(f"{len(bundle.missing)} things could not be had; missing.txt in it names them")
