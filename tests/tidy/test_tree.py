"""Hold the whole tree to the rules."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import install
from tests.tidy import rules

ROOT = Path(__file__).parents[2]
FOLDERS = ("dlroverd", "agent", "plugins", "tests", "benchmarks", "examples", "protos", "scripts", "docs")
GENERATED = "dlroverd/protocol/v1/"
NOT_OURS = {"build", "dist", "node_modules", "__pycache__"}
ALLOWED = 0  # exceptions in ratchet.toml: never raised


def tree(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Yield (path from the root, text) of our files that end so."""
    top = [path for path in ROOT.iterdir() if path.is_file()]
    below = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in sorted(top + below):
        name = path.relative_to(ROOT)
        ours = not any(part in NOT_OURS or part.startswith(".") for part in name.parts)
        if ours and path.suffix in suffixes and not str(name).startswith(GENERATED):
            yield str(name), path.read_text(encoding="utf-8")


def excepted() -> dict[tuple[str, str], int]:
    entries = tomllib.loads((ROOT / "tests/tidy/ratchet.toml").read_text()).get("exception", [])
    assert all(entry["reason"] for entry in entries)
    return {(entry["rule"], entry["where"]): entry["size"] for entry in entries}


def report(violations: list[rules.Violation]) -> str:
    return "\n".join(f"{each.where}: {each.says} [{each.rule}]" for each in violations)


def makefile_targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_python_files_follow_the_rules_but_for_the_ratchet() -> None:
    violations = [
        violation for path, text in tree(".py") for rule in rules.PYTHON_RULES for violation in rule(path, text)
    ]
    exceptions = excepted()
    found = {(each.rule, each.where): each.size for each in violations}
    offending = [each for each in violations if exceptions.get((each.rule, each.where)) != each.size]
    assert not offending, report(offending)
    assert exceptions.items() <= found.items(), "lower or remove these entries of ratchet.toml"
    assert len(exceptions) <= ALLOWED


def test_the_tree_is_seen() -> None:
    seen = {path for path, _ in tree(".py")}
    assert "tests/tidy/rules.py" in seen
    assert "dlroverd/__init__.py" in seen
    assert not any(".venv" in path or path.startswith(GENERATED) for path in seen)


def test_nothing_is_left_undone_outside_python() -> None:
    texts = [
        *tree(".md", ".toml", ".proto", ".yaml", ".txt", ""),
        (".ci/run", (ROOT / ".ci/run").read_text()),
    ]
    violations = [each for path, text in texts for each in rules.left_undone(path, text)]
    assert not violations, report(violations)


def test_every_make_target_in_a_document_exists() -> None:
    targets = makefile_targets()
    assert {"install", "demo", "test", "check", "bench", "clean", "proto"} <= targets
    violations = [each for path, text in tree(".md") for each in rules.undefined_targets(path, text, targets)]
    assert not violations, report(violations)


def test_links_between_documents_lead_somewhere() -> None:
    def exists(path: str) -> bool:
        return (ROOT / path).exists()

    violations = [each for path, text in tree(".md") for each in rules.broken_links(path, text, exists)]
    assert not violations, report(violations)


def test_the_architecture_can_be_read_in_one_sitting() -> None:
    lines = len((ROOT / "ARCHITECTURE.md").read_text().splitlines())
    assert lines <= rules.ARCHITECTURE_LINES


def test_the_change_log_keeps_its_form() -> None:
    violations = list(rules.changelog_format("CHANGELOG.md", (ROOT / "CHANGELOG.md").read_text()))
    assert not violations, report(violations)


@pytest.mark.parametrize("name", ["agent", "agent/train"])
def test_distributions_carry_one_version(name: str) -> None:
    def project(folder: str) -> dict[str, object]:
        return dict(tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"])

    assert project(name)["version"] == project(".")["version"]


def test_everything_declared_has_a_lower_bound_and_a_pin_that_is_tested() -> None:
    pins = dict(install.pinned())
    for name, lowest in install.lowest_bounds():  # raises where a bound is missing
        assert version(lowest) <= version(pins[name])


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
