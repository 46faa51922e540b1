"""Looks on at a rank from within: counts its steps (`progress: auto`), and notes what it imports, for its spare.

It takes every trace of itself away before the script begins. In a spare it waits, there, until that is the rank.
The agent puts this folder first in PYTHONPATH, so that Python imports this before the script. Neither the script nor
any process that it starts sees the folder any more, and a `sitecustomize` of the user's own runs as it would have.
The package beside it is loaded under a name of its own: the script's own `dlroverd_train`, or none, stays as it is.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location

FOLDER = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.dirname(FOLDER)
ALIAS = "_dlroverd_rank"
# "steps", "imports", or both.
TASKS = os.environ.pop("DLROVERD_RANK_PATH", "steps").split()
SPARE = "DLROVERD_SPARE" in os.environ
WAITS: list = []  # type: ignore[type-arg] # what a spare does at last, and with what


def leave_no_trace() -> None:
    """Take the folder out of this process's path, and out of that of those to come."""
    sys.path[:] = [each for each in sys.path if os.path.abspath(each) != FOLDER]
    first, _, rest = os.environ.get("PYTHONPATH", "").partition(os.pathsep)
    if first and os.path.abspath(first) == FOLDER:
        if rest:
            os.environ["PYTHONPATH"] = rest
        else:
            del os.environ["PYTHONPATH"]


def begin() -> None:
    """Count steps, and have exceptions that end the rank said."""
    spec = spec_from_file_location(ALIAS, os.path.join(PACKAGE, "__init__.py"), submodule_search_locations=[PACKAGE])
    if spec is None or spec.loader is None:
        return
    package = module_from_spec(spec)
    sys.modules[ALIAS] = package
    spec.loader.exec_module(package)
    from _dlroverd_rank import _auto, events  # type: ignore[import-not-found] # noqa: PLC0415 - it is known only now

    _auto.begin()
    events.install()


def look_on() -> None:
    """Note what the rank imports."""
    spec = spec_from_file_location("_dlroverd_spare", os.path.join(PACKAGE, "_spare.py"))
    if spec is None or spec.loader is None:
        return
    spare = module_from_spec(spec)
    spec.loader.exec_module(spare)
    names = spare.Names()
    if SPARE:
        WAITS.append((spare.wait, names))
    else:
        names.to(os.path.join(os.path.dirname(os.environ["DLROVERD_PROGRESS_FILE"]), "imports"))


def go_on() -> None:
    """Run the `sitecustomize` that would have been found without this one."""
    spec = PathFinder.find_spec(__name__)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules[__name__] = module
        spec.loader.exec_module(module)


def wait() -> None:
    """Be a spare, and come back as the rank. One that cannot wait must not begin its script."""
    for begin_waiting, names in WAITS:
        begin_waiting(names)
    if not WAITS:
        os._exit(127)


leave_no_trace()
for name, work in (("imports", look_on), ("steps", begin)):
    try:
        if name in TASKS:
            work()
    except Exception:  # noqa: BLE001, S110 - whatever is wrong with us, the script runs as it would without
        pass
try:
    go_on()
finally:
    if SPARE:
        wait()
