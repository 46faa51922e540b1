"""The page on failures is what the tables say, and its example is legal."""

from dlroverd.config.jobfile import draft
from dlroverd.config.yaml_source import parse
from tests.unit.core import failures


def test_page_is_up_to_date() -> None:
    assert failures.PAGE.read_text() == failures.page(), "run `python -m tests.unit.core.failures`"


def test_the_pages_example_is_legal() -> None:
    example = failures.page().split("```yaml\n")[1].split("```")[0]
    job = draft(parse(f"script: x.py\n{example}".encode(), "docs/failures.md")).job
    assert len(job.on_failure) == example.count("verdict")
