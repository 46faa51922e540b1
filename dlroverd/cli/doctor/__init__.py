"""`dlroverctl doctor`: whether this host is fit, before anything is pending."""

import click

from dlroverd.cli import options, output


@click.command("doctor")
@click.option("--python", metavar="PATH", default="", help="The jobs' interpreter.  [default: as `submit` takes it]")
@options.output("table", "json")
def command(python: str, output_: str) -> int:
    """Examine this host, whatever it is to be: each line passes, or fails and says how to mend it.

    Needs no daemon. Root sees the most. Exit code 1 if anything fails.
    """
    from dlroverd.cli.doctor.examinations import examine
    from dlroverd.cli.doctor.finding import Finding, Verdict
    from dlroverd.cli.endings import Exit

    def show(finding: Finding) -> None:
        click.echo(f"{finding.verdict}  {finding.check:<14}  {finding.found}")
        if finding.fix:
            click.echo(f"      fix: {finding.fix}")

    findings = []
    for finding in examine(python):
        findings.append(finding)
        if output_ == "table":
            show(finding)  # at once: some take a while
    if output_ == "json":
        output.document("findings", {"findings": [output.plain(each) for each in findings]}, output_)
    failed = sum(each.verdict is Verdict.FAIL for each in findings)
    if failed:
        output.notice(f"{failed} of {len(findings)} failed")
    return Exit.REFUSED if failed else Exit.DONE
