"""Read YAML into a Document: data with the file, line and column of every part.

Scalars stay as they were written and the schema gives them types. So `nnodes: 2:4` is not the base-60 number
124, `--lr 3e-4` reaches the script as `3e-4`, and `no` is a word. Nothing is ever constructed from a tag.
"""

import re
import sys
from pathlib import Path
from typing import Any

import yaml

from dlroverd.config.document import ConfigError, Document, KeyPath

MAX_FILE_BYTES = 1024 * 1024
_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map", "null")}
_NULL_TAG = "tag:yaml.org,2002:null"


class _Loader(yaml.SafeLoader):
    """Resolves nothing but null, and refuses aliases (a small file could grow without bound through them)."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 (its own, as add_implicit_resolver expects it)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # its stub has no types
            raise yaml.MarkedYAMLError(problem="aliases are not supported; write the value out", problem_mark=mark)
        return super().compose_node(parent, index)


_Loader.add_implicit_resolver(_NULL_TAG, re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])


def read_file(path: str) -> Document:
    """Read a YAML file; `-` is standard input. ConfigError if it cannot be read or is no YAML mapping."""
    if path == "-":
        return parse(sys.stdin.buffer.read(MAX_FILE_BYTES + 1), "standard input")
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError([f"{path}: there is no such file; check the path"]) from None
    except IsADirectoryError:
        raise ConfigError([f"{path}: is a directory; name a YAML file"]) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError([f"{path}: cannot be read ({reason}); check the path and its permissions"]) from None
    return parse(content, path)


def parse(content: bytes, name: str) -> Document:
    """Read YAML text. An empty one is an empty mapping."""
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError([f"{name}: is larger than 1MiB; name a YAML file"])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{name}: is not text (byte {error.start} is not UTF-8); name a YAML file"
        raise ConfigError([message]) from None
    try:
        return _document(_compose(text), name)
    except RecursionError:
        raise ConfigError([f"{name}: is nested too deeply; name a YAML file"]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(error.character)
        message = f"{name}:{line}: holds the control character U+{code:04X}; name a YAML text file"
        raise ConfigError([message]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise ConfigError([f"{place}: {_problem(error)}"]) from None


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "cannot be understood"
    if "'\\t'" in problem:
        return "not valid YAML: indent with spaces, not with tabs"
    if isinstance(error, yaml.composer.ComposerError):
        return "a second document begins here; keep one document in a file"
    if isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError):
        return f"not valid YAML: {problem}; correct it here or on the line before"
    return problem


def _document(root: yaml.Node | None, name: str) -> Document:
    """Turn the node graph into data and marks."""
    document = Document(name)
    if root is None or root.tag == _NULL_TAG:
        return document
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError([f"{name}: must be a mapping of `key: value` lines"])
    document.data.update(_value(root, (), document))
    return document


def _value(node: yaml.Node, path: KeyPath, document: Document) -> Any:
    if node.tag not in _PLAIN_TAGS:
        raise yaml.MarkedYAMLError(
            problem=f"the tag {_short(node.tag)} is not allowed; drop it", problem_mark=node.start_mark
        )
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        items: list[Any] = []
        for index, item in enumerate(node.value):
            _mark((*path, index), item, document)
            items.append(_value(item, (*path, index), document))
        return items
    return None if node.tag == _NULL_TAG else node.value


def _mapping(node: yaml.MappingNode, path: KeyPath, document: Document) -> dict[str, Any]:
    first_lines: dict[str, int] = {}
    data: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a key must be a single word", problem_mark=key_node.start_mark)
        key = str(key_node.value)
        if key in first_lines:
            problem = f"{key} is set twice (first on line {first_lines[key]}); keep one"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
        first_lines[key] = line
        _mark((*path, key), key_node, document)
        data[key] = _value(value_node, (*path, key), document)
    return data


def _mark(path: KeyPath, node: yaml.Node, document: Document) -> None:
    mark = node.start_mark
    dotted = ".".join(str(key) for key in path)
    document.marks[path] = f"{document.name}:{mark.line + 1}:{mark.column + 1}: {dotted}"


def _short(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")
