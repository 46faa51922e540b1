"""Whole decisions as text: commands in, all that the core makes of them out. The diff is the review.

A scene is a file of blocks: comments (#), then commands (>), each followed by what came of it. After a change of the
core, `pytest tests/transcripts --rewrite-transcripts` writes the scenes anew.
"""

from pathlib import Path

import pytest

from tests.transcripts.stage import Stage

SCENES = sorted((Path(__file__).parent / "scenes").glob("*.txt"))


def played(text: str) -> str:
    stage, lines = Stage(), []
    for line in text.splitlines():
        if line.startswith("> "):
            lines += [line, *(f"  {each}" for each in stage.play(line.removeprefix("> ")))]
        elif not line.startswith("  "):
            lines.append(line)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.stem)
def test_core_decides_as_written(scene: Path, request: pytest.FixtureRequest) -> None:
    text = scene.read_text()
    now = played(text)
    if request.config.getoption("--rewrite-transcripts"):
        scene.write_text(now)
    else:
        assert now == text, "if that is meant: --rewrite-transcripts, and read the diff"


def test_there_are_scenes() -> None:
    assert len(SCENES) >= 15
