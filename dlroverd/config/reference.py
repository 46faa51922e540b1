"""The tables of docs/jobfile.md, made from the schema and the flags: `python -m dlroverd.config.reference FILE`."""

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from dlroverd.config.flags import OWN_FLAGS, TORCHRUN_FLAGS, Effect, Flag
from dlroverd.config.jobfile import JobFile, RoleFile
from dlroverd.config.resolve import INHERITED_NAMES, INHERITED_PREFIXES, WITHHELD_WORDS
from dlroverd.config.schema import Section, settings


def tables() -> dict[str, str]:
    """Every generated part of the page by its name."""
    job_keys = [key for key in JobFile.model_fields if key not in RoleFile.model_fields]
    return {
        "role": _fields(RoleFile(), RoleFile.model_fields),
        "job": _fields(JobFile(), job_keys),
        "environment": (
            f"`{'` `'.join(INHERITED_NAMES)}`, and what begins with `{'` `'.join(INHERITED_PREFIXES)}`; "
            f"never a name that holds `{'` `'.join(WITHHELD_WORDS)}`."
        ),
        "torchrun": _flags(TORCHRUN_FLAGS),
        "own": _flags(OWN_FLAGS),
    }


def updated(page: str) -> str:
    """Bring the page up to date."""
    return filled(page, tables())


def filled(page: str, parts: Mapping[str, str]) -> str:
    """Put parts of a page between its `<!-- name -->` and `<!-- end -->` marks."""
    for name, table in parts.items():
        page = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)",
            lambda match, table=table: f"{match[1]}{table}\n{match[2]}",  # type: ignore[misc]  # bound early
            page,
            flags=re.DOTALL,
        )
    return page


def _fields(section: Section, keys: Iterable[str]) -> str:
    rows = ["| key | default | example | |", "|---|---|---|---|"]
    wanted = set(keys)
    for entry in settings(section):
        if entry.key.partition(".")[0] in wanted:
            example = entry.field.examples[0] if entry.field.examples else ""
            default = f"`{entry.value}`" if entry.value not in ("", [], {}) else ""
            meaning = f"{entry.field.description}{f'. When reached: {entry.fires}' if entry.fires else ''}"
            rows.append("| " + " | ".join(map(_cell, (f"`{entry.key}`", default, f"`{example}`", meaning))) + " |")
    return "\n".join(rows)


def _flags(flags: Iterable[Flag]) -> str:
    rows = ["| flag | | |", "|---|---|---|"]
    words = {Effect.REFUSED: "refused", Effect.SATISFIED: "accepted, no effect"}
    for flag in flags:
        names = ", ".join(f"`{name}{f' {flag.metavar}' if flag.metavar else ''}`" for name in flag.names)
        rows.append("| " + " | ".join(map(_cell, (names, words.get(flag.effect, "honoured"), flag.help))) + " |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(updated(page.read_text()))
