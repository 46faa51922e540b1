"""The page in docs/ says what the code does."""

from pathlib import Path

import pytest

from dlroverd.config.flags import TORCHRUN_FLAGS
from dlroverd.config.jobfile import draft
from dlroverd.config.reference import tables, updated
from dlroverd.config.yaml_source import parse

PAGE = Path(__file__).parents[3] / "docs" / "jobfile.md"


def test_the_page_is_fresh() -> None:
    text = PAGE.read_text()
    assert updated(text) == text, "run: python -m dlroverd.config.reference docs/jobfile.md"
    for name, table in tables().items():
        assert f"<!-- {name} -->\n{table}\n<!-- end -->" in text


def test_every_torchrun_flag_is_on_the_page() -> None:
    text = PAGE.read_text()
    for flag in TORCHRUN_FLAGS:
        assert f"`{flag.names[-1]}" in text


@pytest.mark.parametrize("number", [0, 1])
def test_the_pages_examples_are_legal(number: int) -> None:
    example = PAGE.read_text().split("```yaml\n")[number + 1].split("```")[0]
    assert draft(parse(example.encode(), "docs/jobfile.md")).job.name
