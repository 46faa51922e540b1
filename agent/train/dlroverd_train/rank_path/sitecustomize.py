"""Begins to count the steps of a rank whose job says `progress: auto`; then takes every trace of itself away.

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


def go_on() -> None:
    """Run the `sitecustomize` that would have been found without this one."""
    spec = PathFinder.find_spec(__name__)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules[__name__] = module
        spec.loader.exec_module(module)


leave_no_trace()
try:
    begin()
except Exception:  # noqa: BLE001, S110 - whatever is wrong with us, the script runs as it would without
    pass
go_on()
