"""What every diagnosis rule keeps to, whatever it looks for."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from dlroverd.model.diagnosis import Diagnosed, Reading, WorldNode, WorldRank, WorldView
from dlroverd.model.metrics import ALL
from dlroverd.plugin_api.diagnosis import DiagnosisRule, diagnose
from dlroverd.plugin_host import wire


def world(ranks: int = 4, *, readings: dict[str, Reading] | None = None) -> WorldView:
    """Make a world of two nodes of which every rank reads the same."""
    return WorldView(
        job=1,
        role="trainer",
        gang=0,
        round=1,
        now=1e9,
        running_s=3600.0,
        step=1000,
        stepped_s=0.5,
        ranks=tuple(
            WorldRank(rank=rank, node=f"n{rank % 2 + 1}", devices=(f"GPU-{rank}",), readings=readings or {})
            for rank in range(ranks)
        ),
        nodes=tuple(
            WorldNode(node=f"n{node + 1}", devices={f"GPU-{rank}": {} for rank in range(ranks) if rank % 2 == node})
            for node in range(2)
        ),
    )


def worlds() -> Iterator[WorldView]:
    """Give worlds as there are: unseen, of one rank, all alike, with values beyond all bounds, gone backwards."""
    yield world(0)
    yield world(1)
    yield world()
    for value in (0.0, 1.0, 1e300, -1e300):
        alike = {metric.name: Reading(value=value, at=1e9, recent=(value,) * 16, past=value) for metric in ALL}
        yield world(readings=alike)
    falls = Reading(value=1.0, at=1e9, recent=tuple(float(100 - n) for n in range(16)), past=50.0)
    yield world(readings={metric.name: falls for metric in ALL})
    yield replace(world(), step=-1, stepped_s=0.0, running_s=0.0)


class DiagnosisConformance:
    """Set `make` to your plugin's class."""

    make: ClassVar[type[DiagnosisRule]]

    def test_what_it_says_of_any_world_keeps_the_rules(self) -> None:
        """Tuples of the right things, sentences, ranks and nodes that there are, actions on what was concluded."""
        for view in worlds():
            diagnose(self.make(), view)

    def test_the_same_view_gets_the_same_answer(self) -> None:
        """Its calls are pure, also in an order that never was."""
        worn = self.make()
        for view in [*worlds()][::-1]:
            diagnose(worn, view)
        for view in worlds():
            assert diagnose(worn, view) == diagnose(self.make(), view), "it remembers other worlds"

    def test_nothing_ails_a_world_of_which_nothing_is_known(self) -> None:
        """Unknown is a value: what could not be read is neither good nor bad."""
        said = diagnose(self.make(), replace(world(), step=-1))
        assert not said.conclusions, f"it concludes {said.conclusions[0].sentence!r} from nothing"

    def test_it_arrives_as_it_was_said(self) -> None:
        """The daemon gets it as one line of JSON."""
        for view in worlds():
            said: Diagnosed = diagnose(self.make(), view)
            answer = wire.Returned(id=1, value=said)
            assert wire.decode_answer(wire.encode_answer(answer)) == answer
