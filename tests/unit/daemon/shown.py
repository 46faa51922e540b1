"""What daemon and agent show Prometheus, and docs/metrics.md, which is made of it:
`python -m tests.unit.daemon.shown` in the repository.
"""

import asyncio
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from dlroverd_agent.monitors import exposition
from dlroverd_agent.monitors.host import HostMonitor
from dlroverd_agent.monitors.monitors import Monitors
from prometheus_client.core import Metric

from dlroverd.config.reference import filled
from dlroverd.daemon import metrics
from dlroverd.model.limits import Limits
from dlroverd.model.metrics import ALL
from dlroverd.model.telemetry import Telemetry
from dlroverd.plugin_host.host import PluginHost
from dlroverd.runtime.runtime import Runtime, Settings
from dlroverd.store.sqlite import SqliteStore

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
T = TypeVar("T")


def with_runtime(look: Callable[[Runtime], T]) -> T:
    """Give what is seen of a daemon that has just begun, and serves nobody."""

    async def run(folder: Path) -> T:
        store = SqliteStore(folder / "state", reserve_bytes=0)
        settings = Settings(
            limits=Limits(),
            output_dir=folder / "output",
            output_bytes=0,
            letters_dir=folder / "letters",
            scheduler="fifo",
        )
        runtime = Runtime(store, PluginHost([]), settings)
        try:
            return look(runtime)
        finally:
            await runtime.close()

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(Path(folder)))


def idle_monitors() -> Monitors:
    """Make the monitors of an agent that has read nothing."""
    return Monitors(15.0, HostMonitor("/"), dict, (), lambda _: None)


def tables() -> dict[str, str]:
    """Give each generated part of the page by its name."""
    agent = [
        *exposition.families(Telemetry(at=0.0)),
        *exposition.own(idle_monitors(), True, {"devices": True, "kernel_log": True}, 0),
    ]
    of_readings = {exposition.PREFIX + metric.name for metric in ALL}
    return {
        "readings": _rows(
            ("metric", "of", "unit", "", "where Prometheus finds it"),
            [
                (
                    f"`{each.name}`",
                    each.subject,
                    each.unit.replace("_per_second", " a second").replace("per_second", "a second") or "number",
                    each.meaning,
                    f"{'daemon' if each.subject == 'job' else 'agent'}: `{exposition.PREFIX}{each.name}`",
                )
                for each in ALL
            ],
        ),
        "daemon": _families(each for each in with_runtime(lambda runtime: list(metrics.families(runtime, 0.0)))),
        "agent": _families(each for each in agent if each.name not in of_readings),
    }


def updated(page: str) -> str:
    """Bring the page up to date."""
    return filled(page, tables())


def _families(families: Iterable[Metric]) -> str:
    return _rows(
        ("metric", "type", ""),
        [
            (f"`{each.name}{'_total' if each.type == 'counter' else ''}`", each.type, each.documentation)
            for each in families
        ],
    )


def _rows(titles: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
