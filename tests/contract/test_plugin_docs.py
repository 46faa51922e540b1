"""Every hook and interface has its page, with the exact signatures, a suite, and a plugin that drives it."""

import dataclasses
import inspect
import re
from pathlib import Path
from types import FunctionType
from typing import get_args, get_type_hints

import pytest

import dlroverd.testing.conformance as suites
from dlroverd import plugin_api
from dlroverd.plugin_api import hooks
from dlroverd.plugin_host import wire

REPOSITORY = Path(__file__).parents[2]
HOOKS = {name: hook for name, hook in vars(hooks).items() if name.startswith("dlroverd_")}
KINDS = {name.removeprefix("dlroverd_register_"): hook for name, hook in HOOKS.items()}
VIEWS = [value for value in vars(plugin_api).values() if dataclasses.is_dataclass(value)]


def page(kind: str) -> str:
    return (REPOSITORY / "docs" / "plugins" / f"{kind}.md").read_text(encoding="utf-8")


def signature(function: object, name: str) -> str:
    """Give a signature as a reader writes it: without the modules of its types."""
    text = str(inspect.signature(function))  # type: ignore[arg-type] # functions and classes both have one
    return name + re.sub(r"\b(?:\w+\.)+(?=\w)", "", text)


def methods(interface: type) -> dict[str, FunctionType]:
    own = vars(interface).items()
    return {name: value for name, value in own if isinstance(value, FunctionType) and name[0] != "_"}


def interface_of(kind: str) -> type:
    """Give what the kind's hook has registered."""
    ((found,), _) = get_args(get_type_hints(KINDS[kind])["register"])
    assert isinstance(found, type)
    assert found in vars(plugin_api).values()
    return found


def test_there_are_hooks_and_views() -> None:
    assert set(KINDS) == set(get_args(wire.Kind))
    assert len(VIEWS) >= len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kinds_page_has_the_exact_signatures(kind: str) -> None:
    text = page(kind)
    assert f"def {signature(KINDS[kind], f'dlroverd_register_{kind}')}: ..." in text
    interface = methods(interface_of(kind))
    assert interface
    for name, method in interface.items():
        assert f"def {signature(method, name)}: ..." in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_kinds_page_shows_no_method_that_does_not_exist(kind: str) -> None:
    shown = re.findall(r"^def (\w+)\(.*: \.\.\.$", page(kind), flags=re.MULTILINE)
    assert set(shown) == {f"dlroverd_register_{kind}", *methods(interface_of(kind))}


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_every_view_is_on_a_page_with_its_fields(view: type) -> None:
    assert any(f"\n{signature(view, view.__name__)}\n" in page(kind) for kind in KINDS)


def test_the_index_names_every_kind_and_the_api_version() -> None:
    index = page("index")
    for kind in KINDS:
        assert f"[{kind}]({kind}.md) | `dlroverd_register_{kind}`" in index
    assert f"`DLROVERD_API = {plugin_api.API_VERSION}`" in index


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_suite_that_a_test_runs(kind: str) -> None:
    suite = f"{''.join(word.capitalize() for word in kind.split('_'))}Conformance"
    assert hasattr(suites, suite)
    assert any(f"({suite})" in text for text in _sources("tests/contract/test_conformance.py"))


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_driven_by_a_system_test(hook: str) -> None:
    assert any(hook in text for text in _sources("tests/system/*plugin*.py"))


def _sources(pattern: str) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in REPOSITORY.glob(pattern)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_of_a_page_load_and_register(kind: str) -> None:
    """What readers copy must work."""
    example = next(block for block in re.findall(r"```python\n(.*?)```", page(kind), re.DOTALL) if "class " in block)
    namespace: dict[str, object] = {}
    exec(compile(example, f"{kind}.md", "exec"), namespace)  # noqa: S102 our own documentation
    given: list[object] = []
    namespace[f"dlroverd_register_{kind}"](given.append)  # type: ignore[operator] # the example's hook
    assert [isinstance(one, interface_of(kind)) for one in given] == [True]
    assert namespace["DLROVERD_API"] == plugin_api.API_VERSION
