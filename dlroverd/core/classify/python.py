"""Ends that Python itself explains. Where it is not the user's code, a row of another subject comes first."""

from dlroverd.core.classify.rule import Rule, said
from dlroverd.model.fault import CauseKind

MISSING_SCRIPT = "MissingScript"

HOPELESS = (
    Rule(
        name="script.missing",
        kind=CauseKind.MISSING_SCRIPT,
        says="has no script to run ({error})",
        remedy="correct the path, or set workdir to where the script is on every node",
        types=frozenset({MISSING_SCRIPT}),
    ),
    Rule(
        name="python.syntax",
        kind=CauseKind.SYNTAX_ERROR,
        says="{error}",
        remedy="correct it and submit again",
        types=frozenset({"SyntaxError", "IndentationError", "TabError"}),
    ),
    Rule(
        name="python.import",
        kind=CauseKind.IMPORT_ERROR,
        says="{error}",
        remedy="install it for the job's interpreter on every node, or name another interpreter with python",
        types=frozenset({"ImportError", "ModuleNotFoundError"}),
    ),
    Rule(
        name="python.arguments",
        kind=CauseKind.BAD_ARGUMENTS,
        says="refused its arguments ({line})",
        remedy="correct them and submit again",
        said=said(": error: "),
        codes=frozenset({2}),
        reported=False,
    ),
)

EXCEPTIONS = (
    Rule(
        name="python.interrupted",
        kind=CauseKind.SIGNAL,
        says="was interrupted by SIGINT, which dlroverd did not send",
        remedy="somebody or something on that node did",
        types=frozenset({"KeyboardInterrupt"}),
        requested=False,
    ),
    Rule(name="python.exception", kind=CauseKind.EXCEPTION, says="{error}", reported=True),
)
