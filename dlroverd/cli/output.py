"""What is shown: tables for people, versioned JSON and YAML for programs. The one place that uses rich.

Data goes to stdout, and nothing else does; notices go to stderr. No colour off a terminal.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Self, TextIO, TypeVar

import click

T = TypeVar("T")

VERSION = 1
FORMATS = ("table", "wide", "json", "yaml")
_STYLES = {
    **dict.fromkeys(("running", "succeeded", "ready", "ok"), "green"),
    **dict.fromkeys(("failed", "lost", "open"), "red"),
    **dict.fromkeys(("restarting", "stopping", "unreachable", "foreign", "cancelled"), "yellow"),
}


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column of a table; a wide one is shown with `-o wide` only."""

    title: str
    cell: Callable[[T], str]
    wide: bool = False


def listing(kind: str, items: Sequence[T], columns: Iterable[Column[T]], output: str) -> None:
    """Show many things of one kind; `kind` is their plural."""
    if output in ("table", "wide"):
        shown = [column for column in columns if output == "wide" or not column.wide]
        if items:
            table([column.title for column in shown], [[column.cell(item) for column in shown] for item in items])
        else:
            notice(f"no {kind}")
    else:
        document(kind, {kind: [plain(item) for item in items]}, output)


def document(kind: str, content: dict[str, Any], output: str) -> None:
    """Show one JSON or YAML document: `version`, `kind`, and the content beside them."""
    whole = {"version": VERSION, "kind": kind, **content}
    if output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(json.dumps(whole, indent=2, ensure_ascii=False))


def line(kind: str, content: dict[str, Any]) -> None:
    """Show one document of a stream: JSON on a line of its own."""
    click.echo(json.dumps({"version": VERSION, "kind": kind, **content}, ensure_ascii=False))


def plain(value: Any) -> Any:
    """Give a view as plain data."""
    return json.loads(json.dumps(dataclasses.asdict(value)))


def notice(text: str) -> None:
    """Tell people something that is not data."""
    click.echo(f"dlroverctl: {text}", err=True)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], file: TextIO | None = None) -> None:
    """Show rows under titles, on stdout unless told otherwise."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    file = file or sys.stdout
    is_terminal = file.isatty()
    grid = Table(*titles, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        grid.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    # Off a terminal nothing is cut or wrapped: a program may read it.
    console = Console(
        file=file, force_terminal=is_terminal, no_color=not is_terminal, width=None if is_terminal else 4096
    )
    with console.capture() as captured:
        console.print(grid)
    for text in captured.get().splitlines():
        click.echo(text.rstrip(), file=file)


class Progress:
    """What a long command says of itself as it goes: a bar on a terminal, lines elsewhere. Leaves with its context."""

    def __init__(self, total: int, *, err: bool = False) -> None:
        """Count up to `total`; on stderr if asked."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        self._err = err
        self._total = total
        self._bar: Bar | None = None
        if (sys.stderr if err else sys.stdout).isatty():
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bar = Bar(*columns, console=Console(stderr=err, highlight=False), transient=True)
            self._task = self._bar.add_task("starting", total=total)

    def __enter__(self) -> Self:
        """Show it."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away; what was said stays."""
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Say something that stays."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False)
        else:
            click.echo(text, err=self._err)

    def at(self, done: int, text: str) -> None:
        """Show how far it is; off a terminal at each tenth of the way."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=text)
        elif done % max(1, self._total // 10) == 0:
            click.echo(f"{text}: {done} of {self._total}", err=self._err)


def clock(at: float) -> str:
    """Give a time of today as 14:02:11, another with its date; local time."""
    moment, today = time.localtime(at), time.localtime()
    return time.strftime("%H:%M:%S" if moment[:3] == today[:3] else "%Y-%m-%d %H:%M:%S", moment)


def span(seconds: float) -> str:
    """Give a length of time in its two largest units: 0.3s, 42.0s, 5m12s, 3h07m, 2d04h."""
    # Adding zero takes the sign from a negative one, which rounding can leave.
    tenths = round(seconds * 10) + 0
    if tenths < 600:
        return f"{tenths / 10:.1f}s"
    whole_s = tenths // 10
    for unit, size_s, small, small_s in (("d", 86400, "h", 3600), ("h", 3600, "m", 60)):
        if whole_s >= size_s:
            return f"{whole_s // size_s}{unit}{whole_s % size_s // small_s:02d}{small}"
    return f"{whole_s // 60}m{whole_s % 60:02d}s"


def age(since: float) -> str:
    """Give the time since then in its largest unit: 12s, 3m, 2h, 5d."""
    passed_s = max(0.0, time.time() - since)
    for unit, size_s in (("d", 86400), ("h", 3600), ("m", 60)):
        if passed_s >= size_s:
            return f"{passed_s / size_s:.0f}{unit}"
    return f"{passed_s:.0f}s"


def size(size_bytes: int) -> str:
    """Write a size for people: `812 bytes`, `12.0 MiB`."""
    if size_bytes < 1024:
        return f"{size_bytes} bytes"
    power = min(4, (size_bytes.bit_length() - 1) // 10)
    return f"{size_bytes / 1024**power:.1f} {' KMGT'[power]}iB"
