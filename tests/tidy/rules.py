"""The rules of the house that no other tool holds: each takes a file's path and text, and yields violations.

Nothing here reads the tree; test_tree.py does, and test_rules.py plants a violation of each rule.
"""

import ast
import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

MODULE_LINES = 400
TEST_MODULE_LINES = 600
FUNCTION_LINES = 60
ARCHITECTURE_LINES = 300
REFUSED_NAMES = frozenset({"utils", "common", "helpers", "misc", "manager", "base"})
UNSAFE_MODULES = frozenset({"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve"})
SHELLS = frozenset(
    {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
    | {"asyncio.create_subprocess_shell"}
)
NO_SLEEP = ("tests/unit/", "tests/transcripts/", "tests/properties/", "tests/simulation/")
PURE = ("dlroverd/core/", "dlroverd/model/", "agent/dlroverd_agent/core")
# Builtins that read the world, or differ from one process to the next.
WORLDLY_BUILTINS = frozenset({"open", "input", "print", "id", "hash", "exec", "eval", "__import__"})
CHANGE_KINDS = frozenset({"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"})


@dataclass(frozen=True)
class Violation:
    rule: str
    where: str
    size: int = 0
    """Lines, for the rules that count them."""
    says: str = ""


Rule = Callable[[str, str], Iterator[Violation]]


def is_test(path: str) -> bool:
    return path.startswith("tests/") or "/tests/" in path


def module_lines(path: str, text: str) -> Iterator[Violation]:
    size = len(text.splitlines())
    limit = TEST_MODULE_LINES if is_test(path) else MODULE_LINES
    if size > limit:
        yield Violation("module_lines", path, size, f"{size} lines, at most {limit}: split by noun, rule or verb")


def function_lines(path: str, text: str) -> Iterator[Violation]:
    def walk(node: ast.AST, names: tuple[str, ...]) -> Iterator[Violation]:
        for child in ast.iter_child_nodes(node):
            inner = names
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = (*names, child.name)
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (child.end_lineno or child.lineno) - child.lineno + 1
                if size > FUNCTION_LINES:
                    where = f"{path}:{'.'.join(inner)}"
                    yield Violation("function_lines", where, size, f"{size} lines, at most {FUNCTION_LINES}")
            yield from walk(child, inner)

    yield from walk(ast.parse(text), ())


def refused_names(path: str, text: str) -> Iterator[Violation]:
    del text
    for part in PurePosixPath(path).with_suffix("").parts:
        if part in REFUSED_NAMES:
            yield Violation("refused_names", path, says=f"{part!r} says nothing: name the thing it holds")


def unsafe_modules(path: str, text: str) -> Iterator[Violation]:
    for line, module in imports(text):
        if module.partition(".")[0] in UNSAFE_MODULES:
            yield Violation("unsafe_modules", f"{path}:{line}", says=f"{module}: loading it can run anything")


def shells(path: str, text: str) -> Iterator[Violation]:
    for call in calls(text):
        name = dotted(call.func)
        with_shell = any(
            each.arg == "shell" and not (isinstance(each.value, ast.Constant) and each.value.value is False)
            for each in call.keywords
        )
        if name in SHELLS or with_shell:
            yield Violation("shells", f"{path}:{call.lineno}", says=f"{name}: pass a list of arguments, no shell")


def sleeps(path: str, text: str) -> Iterator[Violation]:
    if not path.startswith(NO_SLEEP):
        return
    for call in calls(text):
        if dotted(call.func) == "time.sleep":
            yield Violation("sleeps", f"{path}:{call.lineno}", says="await what happens instead of sleeping")
    for line, module in imports(text):
        if module == "time.sleep":
            yield Violation("sleeps", f"{path}:{line}", says="await what happens instead of sleeping")


def mocks(path: str, text: str) -> Iterator[Violation]:
    for line, module in imports(text):
        if module.startswith("unittest.mock") or module == "mock":
            yield Violation("mocks", f"{path}:{line}", says="use the real part, or a fake of dlroverd.testing")
    for call in calls(text):
        if dotted(call.func) == "monkeypatch.setattr":
            yield Violation("mocks", f"{path}:{call.lineno}", says="hand the other part in instead of patching it")


def worldly_builtins(path: str, text: str) -> Iterator[Violation]:
    """What import-linter cannot see of an impure core: builtins need no import."""
    if not path.startswith(PURE):
        return
    for call in calls(text):
        if isinstance(call.func, ast.Name) and call.func.id in WORLDLY_BUILTINS:
            yield Violation("worldly_builtins", f"{path}:{call.lineno}", says=f"{call.func.id}() in a pure module")


def left_undone(path: str, text: str) -> Iterator[Violation]:
    marks = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
    for number, line in enumerate(text.splitlines(), start=1):
        if marks.search(line):
            yield Violation("left_undone", f"{path}:{number}", says="do it, or open an issue")


PYTHON_RULES: tuple[Rule, ...] = (
    *(module_lines, function_lines, refused_names, unsafe_modules, shells, sleeps, mocks),
    *(worldly_builtins, left_undone),
)


def undefined_targets(path: str, text: str, defined: frozenset[str]) -> Iterator[Violation]:
    """Find `make x` in a document's code where the Makefile has no x."""
    code = re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)
    for target in sorted({found for part in code for found in re.findall(r"\bmake ([a-z][a-z-]*)", part)}):
        if target not in defined:
            yield Violation("undefined_targets", path, says=f"the Makefile has no target {target!r}")


def broken_links(path: str, text: str, exists: Callable[[str], bool]) -> Iterator[Violation]:
    """Find relative links of a document that lead nowhere; `exists` is asked for paths from the root."""
    folder = PurePosixPath(path).parent
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if re.match(r"[a-z]+:", target):
            continue
        if not exists(posixpath.normpath(folder / target)):
            yield Violation("broken_links", path, says=f"{target} does not exist")


def changelog_format(path: str, text: str) -> Iterator[Violation]:
    """Hold a change log to keepachangelog.com 1.1.0: known kinds, dated versions, newest first."""
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    if not text.startswith("# Changelog\n"):
        yield Violation("changelog_format", path, says="begins with '# Changelog'")
    if headings[:1] != ["[Unreleased]"]:
        yield Violation("changelog_format", path, says="its first section is '## [Unreleased]'")
    versions = []
    for heading in headings[1:]:
        found = re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d{2}-\d{2}", heading)
        if found is None:
            yield Violation("changelog_format", path, says=f"{heading!r} is not '[1.2.3] - 2026-01-31'")
        else:
            versions.append(tuple(map(int, found.groups())))
    if versions != sorted(set(versions), reverse=True):
        yield Violation("changelog_format", path, says="versions stand newest first, each once")
    for kind in re.findall(r"^### (.*)$", text, re.MULTILINE):
        if kind not in CHANGE_KINDS:
            yield Violation("changelog_format", path, says=f"{kind!r} is none of {sorted(CHANGE_KINDS)}")


def imports(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of everything imported; `from a import b` gives both a and a.b."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def calls(text: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"
