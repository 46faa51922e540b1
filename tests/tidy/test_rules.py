"""Each rule finds what is planted for it, and lets what is right pass."""

import pytest

from tests.tidy import rules

LONG_FUNCTION = "class A:\n    def f(self):\n" + "        x = 1\n" * 60
SHORT_FUNCTION = "class A:\n    def f(self):\n" + "        x = 1\n" * 59
MARK = "TO" + "DO"  # in two parts, so that this file passes its own rule


@pytest.mark.parametrize(
    ("rule", "path", "planted", "right"),
    [
        (rules.module_lines, "dlroverd/core/x.py", "x = 1\n" * 401, "x = 1\n" * 400),
        (rules.module_lines, "tests/unit/test_x.py", "x = 1\n" * 601, "x = 1\n" * 600),
        (rules.function_lines, "dlroverd/x.py", LONG_FUNCTION, SHORT_FUNCTION),
        (rules.unsafe_modules, "dlroverd/x.py", "import pickle", "import json"),
        (rules.unsafe_modules, "dlroverd/x.py", "from pickle import loads", "from json import loads"),
        (rules.shells, "dlroverd/x.py", "subprocess.run('ls', shell=True)", "subprocess.run(['ls'])"),
        (rules.shells, "dlroverd/x.py", "Popen('ls', shell=flag)", "Popen(['ls'], shell=False)"),
        (rules.shells, "dlroverd/x.py", "os.system('ls')", "platform.system()"),
        (rules.sleeps, "tests/unit/test_x.py", "time.sleep(1)", "clock.sleep(1)"),
        (rules.sleeps, "tests/simulation/test_x.py", "from time import sleep", "from time import time"),
        (rules.mocks, "tests/unit/test_x.py", "from unittest import mock", "from unittest import case"),
        (rules.mocks, "tests/x.py", "monkeypatch.setattr(a, 'b', c)", "monkeypatch.setenv('A', 'b')"),
        (rules.worldly_builtins, "dlroverd/core/x.py", "hash(key)", "repr(key)"),
        (rules.worldly_builtins, "agent/dlroverd_agent/core.py", "open('x')", "store.open('x')"),
        (rules.left_undone, "dlroverd/x.py", f"# {MARK} later", "# todos of the user"),
        (
            rules.changelog_format,
            "C",
            "# Changelog\n## [1.0.0]\n",
            "# Changelog\n## [Unreleased]\n### Added\n",
        ),
        (
            rules.changelog_format,
            "C",
            "# Changelog\n## [Unreleased]\n## [0.1.0] - 2026-01-02\n## [0.2.0] - 2026-01-03\n",
            "# Changelog\n## [Unreleased]\n## [0.2.0] - 2026-01-03\n## [0.1.0] - 2026-01-02\n",
        ),
        (
            rules.changelog_format,
            "C",
            "# Changelog\n## [Unreleased]\n### New\n",
            "# Changelog\n## [Unreleased]\n",
        ),
    ],
)
def test_a_rule_finds_what_is_planted(rule: rules.Rule, path: str, planted: str, right: str) -> None:
    assert list(rule(path, planted))
    assert not list(rule(path, right))


@pytest.mark.parametrize("path", ["dlroverd/utils.py", "dlroverd/common/x.py", "tests/unit/base.py"])
def test_names_that_say_nothing_are_refused(path: str) -> None:
    assert list(rules.refused_names(path, ""))
    assert not list(rules.refused_names("dlroverd/core/passes/restart.py", ""))


def test_sleep_is_refused_only_where_virtual_time_rules() -> None:
    assert not list(rules.sleeps("tests/system/test_x.py", "time.sleep(1)"))


def test_a_function_too_long_is_named() -> None:
    (found,) = rules.function_lines("dlroverd/x.py", LONG_FUNCTION)
    assert found.where == "dlroverd/x.py:A.f"
    assert found.size == 61


def test_a_document_may_name_only_targets_and_files_that_exist() -> None:
    text = "Run `make demo` or\n```\nmake spaghetti\n```\nto make sense; see [there](../x/y.md#part)."
    (found,) = rules.undefined_targets("docs/a.md", text, frozenset({"demo"}))
    assert "'spaghetti'" in found.says
    assert list(rules.broken_links("docs/a.md", text, {"x/z.md"}.__contains__))
    assert not list(rules.broken_links("docs/a.md", text, {"x/y.md"}.__contains__))
