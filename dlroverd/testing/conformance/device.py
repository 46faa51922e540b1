"""What every device plugin keeps to, whatever its driver."""

from typing import ClassVar

from dlroverd.plugin_api import DeviceReading, Devices
from dlroverd.plugin_api.device import broken_rule
from dlroverd.plugin_host import wire


class DeviceConformance:
    """Set `make` to your plugin's class. Run it where nobody starts or ends work on the devices meanwhile."""

    make: ClassVar[type[Devices]]

    def test_what_it_reads_keeps_the_rules(self) -> None:
        """Usable UUIDs, each once; sizes; paths in /dev; and nothing but readings."""
        read = self.make().read()
        assert isinstance(read, tuple), f"read() returned {type(read).__name__}, where a tuple is wanted"
        assert all(isinstance(each, DeviceReading) for each in read), f"read() returned {read!r}"
        assert broken_rule(read) == ""

    def test_it_arrives_as_it_was_read(self) -> None:
        """The agent gets it as one line of JSON."""
        answer = wire.Returned(id=1, value=self.make().read())
        assert wire.decode_answer(wire.encode_answer(answer)) == answer

    def test_devices_and_their_order_stay(self) -> None:
        """An agent that starts anew grants by the same identities, in the same order."""
        worn = self.make()
        first = _identities(worn.read())
        assert _identities(worn.read()) == first
        assert _identities(self.make().read()) == first


def _identities(readings: tuple[DeviceReading, ...]) -> list[tuple[str, str, int, tuple[str, ...]]]:
    return [(each.uuid, each.model, each.memory_bytes, each.nodes) for each in readings]
