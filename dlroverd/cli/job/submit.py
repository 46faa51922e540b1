"""`dlroverctl job submit`: give a job to the fleet."""

import click

from dlroverd.cli import endings, following, output, sentences
from dlroverd.cli.endings import CommandError
from dlroverd.cli.options import connect
from dlroverd.cli.submission import WordsCommand, read

_FLAGS = (
    ("--wait", "", "wait for the job's end, and exit as it did"),
    ("--dry-run", "", "show what would be submitted, where it would go or why it would wait; submit nothing"),
    ("--parsable", "", "print the job's id and nothing else"),
    ("-o --output", "text|json|yaml", "how the answer is shown"),
)


@click.pass_context
def _submit(context: click.Context, words: tuple[str, ...]) -> int:
    submission = read(context, words, _FLAGS)
    options = submission.options
    form = options.get("output", "text")
    if "standalone" in options:
        raise click.UsageError("--standalone: is for `dlroverctl run`, which stays with the job; drop it.")
    if form not in ("text", "json", "yaml"):
        raise click.UsageError(f"-o: must be text, json or yaml, not '{form}'.")
    if "dry_run" in options:
        from dlroverd.cli import dry_run

        dry_run.show(submission.spec, options["address"], form)
        return 0
    with connect(options["address"]) as client:
        job = client.submit(submission.spec)
        if "parsable" in options:
            click.echo(job)
        elif form == "text":
            click.echo(f"submitted job {job} ({submission.spec.name})")
        else:
            output.document("submitted", {"id": job, "name": submission.spec.name}, form)
        if "wait" not in options:
            return 0
        last = following.wait(client, job, lambda _: None)
    if last.state != "succeeded":
        raise CommandError(sentences.ending(last), endings.of_job(last))
    return 0


command = WordsCommand(
    "submit",
    _FLAGS,
    callback=_submit,
    help="Submit a job and print its id.\n\nThe job is a script with its arguments, or a job file (docs/jobfile.md).",
    short_help="Submit a job and print its id.",
)
