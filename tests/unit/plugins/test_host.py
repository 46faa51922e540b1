import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.model.placement import NoFit, Placement, PlacementView
from dlroverd.model.view import EventView
from dlroverd.plugin_api import DeviceProcess, DeviceReading
from dlroverd.plugin_host import wire
from dlroverd.plugin_host.failures import PluginError
from dlroverd.plugin_host.host import PluginHost
from dlroverd.plugin_host.plugin import PluginConfig
from dlroverd.testing.conformance.scheduler import views


def test_two_plugins_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two plugins are named a; give each a name of its own"):
        PluginHost([PluginConfig(name="a"), PluginConfig(name="b"), PluginConfig(name="a", plugin="c")])


def test_a_plugin_that_is_not_enabled_is_named() -> None:
    with pytest.raises(PluginError, match="plugin x is not enabled; add it to the configuration"):
        asyncio.run(PluginHost([]).write("x", (), 1.0))


@given(views())
def test_a_view_arrives_as_it_was_sent(view: PlacementView) -> None:
    assert wire.decode_question(wire.encode_question(wire.Place(id=3, view=view))) == wire.Place(id=3, view=view)


text = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.builds(
        EventView,
        position=st.integers(),
        index=st.integers(),
        time=st.floats(allow_nan=False, allow_infinity=False),
        name=text,
        job=st.integers(),
        node=text,
        body=text,
    )
)
def test_a_batch_arrives_as_it_was_sent_on_one_line(event: EventView) -> None:
    line = wire.encode_question(wire.Write(batch=(event, event)))
    assert line.count(b"\n") == 1
    assert wire.decode_question(line) == wire.Write(batch=(event, event))


CARD = DeviceReading(uuid="a", model="m", memory_bytes=1, nodes=("/dev/a",), processes=(DeviceProcess(pid=7),))


@pytest.mark.parametrize("value", [None, NoFit(reason="full\n"), Placement(gangs=()), (), (CARD, CARD)])
def test_an_answer_arrives_as_it_was_sent(value: wire.Value) -> None:
    answer = wire.Returned(id=1, value=value)
    assert wire.decode_answer(wire.encode_answer(answer)) == answer


@given(st.binary())
def test_garbage_is_refused_with_one_line(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        wire.decode_answer(line)
    assert "\n" not in str(refused.value)
