"""Read the command line of `run` and `submit` into the document a job file would be.

No `--` is needed: the first word that is no flag begins what runs, and everything after it belongs to that.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlroverd.config.display import Display, parse_local_ranks, parse_redirects, parse_tee
from dlroverd.config.document import ConfigError, Document, KeyPath
from dlroverd.config.flags import HELP, OWN_FLAGS, TORCHRUN_FLAGS, Effect, Flag
from dlroverd.config.validation import nearest

_DISPLAY_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "redirects": parse_redirects,
    "tee": parse_tee,
    "local_ranks": parse_local_ranks,
}
_FORMS = ("script", "module", "command")


@dataclass(frozen=True, slots=True)
class RunLine:
    """What a command line says: `document` for `jobfile.draft`, the display, and the command's own options.

    An option given as a switch is "". `asks_help` is set by -h and --help before the script.
    """

    document: Document
    display: Display
    options: Mapping[str, str]

    @property
    def asks_help(self) -> bool:
        """Whether -h or --help stood before the script."""
        return HELP.key in self.options


def parse(words: Sequence[str], command_flags: Iterable[Flag] = ()) -> RunLine:
    """Read the words after `run` or `submit`; ConfigError with a sentence for what cannot be.

    `command_flags` are those of the command itself (Effect.OPTION). `torchrun` and `python -m
    torch.distributed.run` may stand before any flag, and only mean that what runs is Python.
    """
    line = _Line({name: flag for flag in all_flags(command_flags) for name in flag.names})
    rest = list(words)
    while rest and HELP.key not in line.options:
        if launcher := _launcher_words(rest):
            line.python = _launcher_python(rest[0])
            line.is_torchrun = True
            del rest[:launcher]
        elif rest[0] == "--":
            del rest[0]
            if not _launcher_words(rest):
                break
        elif rest[0].startswith("-") and rest[0] != "-":
            line.take_flag(rest)
        else:
            break
    if rest:
        line.take_program(rest)
    return line.finish()


def over(document: Document, base: Document) -> Document:
    """Lay a command line over a job file: what it sets or runs takes the place of what the file says."""
    replaced = (*_FORMS, "args") if any(form in document.data for form in _FORMS) else ()
    kept = {key: value for key, value in base.data.items() if key not in replaced}
    data = {**kept, **document.data}
    if isinstance(kept.get("env"), dict):
        data["env"] = {**kept["env"], **document.data.get("env", {})}
    if isinstance(kept.get("secrets"), dict):
        data["secrets"] = {**kept["secrets"], **document.data.get("secrets", {})}
    return Document(base.name, data, {**base.marks, **document.marks})


def usage(command_flags: Iterable[Flag] = ()) -> str:
    """Make the help text's list of flags that have an effect, one to a line."""
    flags = [flag for flag in all_flags(command_flags) if flag.effect not in (Effect.REFUSED, Effect.SATISFIED)]
    heads = [f"  {', '.join(flag.names)} {flag.metavar}".rstrip() for flag in flags]
    width = max(map(len, heads))
    return "\n".join(f"{head:<{width}}  {flag.help}" for head, flag in zip(heads, flags, strict=True))


def all_flags(command_flags: Iterable[Flag] = ()) -> tuple[Flag, ...]:
    """Every flag that is understood before the script."""
    return (*TORCHRUN_FLAGS, *OWN_FLAGS, *command_flags, HELP)


@dataclass(slots=True)
class _Line:
    """A command line as it is read."""

    flags: Mapping[str, Flag]
    data: dict[str, Any] = field(default_factory=dict)
    marks: dict[KeyPath, str] = field(default_factory=dict)
    forms: set[str] = field(default_factory=set)
    shown: dict[str, Any] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    python: str = ""
    is_torchrun: bool = False

    def take_flag(self, rest: list[str]) -> None:
        """Take one flag, and its value if it has one, off the words."""
        word = rest.pop(0)
        if word.startswith("--"):
            written, equals, value = word.partition("=")
            given = value if equals else None
            name = "--" + written[2:].replace("_", "-")
        else:
            written = name = word[:2]
            given = word[2:] or None
        flag = self.flags.get(name)
        if flag is None:
            close = nearest(name, self.flags)
            raise ConfigError([f"{written}: unknown flag; {f'did you mean {close}?' if close else 'see --help'}"])
        if not flag.metavar and given is not None:
            raise ConfigError([f"{written}: takes no value; write it alone"])
        if flag.metavar and given is None:
            if not rest or rest[0].startswith("--"):
                raise ConfigError([f"{written}: needs a value; write {written} {flag.metavar}"])
            given = rest.pop(0)
        self._apply(flag, written, given or "")

    def _apply(self, flag: Flag, written: str, value: str) -> None:
        match flag.effect:
            case Effect.JOB if flag.key == "env":
                name, equals, text = value.partition("=")
                self.data.setdefault("env", {})[name] = text if equals else None
                self.marks["env", name] = f"{written} {name}"
            case Effect.JOB if flag.key == "secrets":
                name, equals, text = value.partition("=")
                if not equals:
                    raise ConfigError([f"{written}: needs a name and a file; write {written} {name or 'NAME'}=FILE"])
                self.data.setdefault("secrets", {})[name] = {"file": text}
                self.marks["secrets", name] = f"{written} {name}"
            case Effect.JOB:
                for key in flag.key.split():
                    self.data[key] = value if flag.metavar else "true"
                    self.marks[(key,)] = written
            case Effect.FORM:
                self.forms.add(flag.key)
            case Effect.DISPLAY:
                try:
                    self.shown[flag.key] = _DISPLAY_PARSERS[flag.key](value)
                except ValueError as error:
                    raise ConfigError([f"{written}: {error}"]) from None
            case Effect.OPTION:
                self.options[flag.key] = value
            case Effect.REFUSED:
                self.refusals.append(f"{written}: {flag.help}")
            case Effect.SATISFIED:
                pass

    def take_program(self, rest: list[str]) -> None:
        """Take what runs and its arguments; torchrun's precedence among the words that say what it is."""
        if not self.forms and not self.is_torchrun:
            self._take_interpreter(rest)
        if {"module", "command"} <= self.forms and "script" not in self.forms:
            raise ConfigError(["--no-python: does not go with --module; drop one of them"])
        form = next((form for form in _FORMS if form in self.forms), None)
        if form is None:
            form = "script" if self.is_torchrun or self.python or rest[0].endswith(".py") else "command"
        self.data[form], self.data["args"] = rest[0], rest[1:]
        self.marks[(form,)], self.marks[("args",)] = form, "arguments"
        if self.python and form != "command":
            self.data.setdefault("python", self.python)

    def _take_interpreter(self, rest: list[str]) -> None:
        """See through `python x.py` and `python -m mod`: the script is checked and runs unbuffered."""
        count = _python_words(rest)
        following = rest[count : count + 2]
        is_module = len(following) == 2 and following[0] == "-m"
        if not count or not following or not (is_module or following[0].endswith(".py")):
            return
        self.python = rest[0]
        del rest[: count + is_module]
        if is_module:
            self.forms.add("module")

    def finish(self) -> RunLine:
        if self.refusals:
            raise ConfigError(self.refusals)
        return RunLine(Document("command line", self.data, self.marks), Display(**self.shown), self.options)


def _python_words(words: Sequence[str]) -> int:
    """Count the words of `python` or `python -u` at the beginning."""
    if not words or not re.fullmatch(r"python(3(\.\d+)?)?", os.path.basename(words[0])):
        return 0
    return 2 if words[1:2] == ["-u"] else 1


def _launcher_words(words: Sequence[str]) -> int:
    """Count the words of `torchrun` or `python -m torch.distributed.run` at the beginning."""
    if words and os.path.basename(words[0]) == "torchrun":
        return 1
    count = _python_words(words)
    return count + 2 if count and list(words[count : count + 2]) == ["-m", "torch.distributed.run"] else 0


def _launcher_python(word: str) -> str:
    """Give the interpreter a launcher's word stands for: of a torchrun given by path, the one beside it."""
    if os.path.basename(word) != "torchrun":
        return word
    return os.path.join(os.path.dirname(word), "python3") if "/" in word else ""
