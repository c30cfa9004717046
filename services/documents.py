"""YAML as kubectl reads it, with every value's line for messages.

Scalars have the meaning that kubectl gives them (`services.yaml_scalars`), aliases and
merges are followed, and an error names its line. Some YAML that kubectl accepts is
likely a mistake and is an error here: a duplicate key, a tag that YAML does not have,
a key that is not text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import yaml
from yaml.scanner import ScannerError

from services.errors import UserError
from services.yaml_scalars import TAG, Scalar, plain_value, tagged_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The API server accepts no larger object; a file of rules need not be larger either.
MAX_FILE_BYTES = 3 * 1024 * 1024
# Limit of the values that aliases repeat; ten lines of aliases could make a billion.
MAX_ALIASED = 10_000
# YAML 1.1: a key is on one line and has at most this many characters.
_MAX_KEY_LENGTH = 1024
_PLAIN = "plain"
_MERGE = "<<"
# PyYAML's errors for a text that begins with a special character, or that contains `: ` or ` #`.
_UNQUOTED = (
    "mapping values are not allowed here",
    "expected <block end>, but found",
    "while scanning for the next token",
    "while scanning a block scalar",
    "found undefined alias",
    "while scanning an alias",
    "while scanning an anchor",
    "while scanning a directive",
    "while parsing a flow",
    "could not determine a value for the tag",
)
_QUOTE_IT = (
    "a text that has `: ` or ` #` in it, or begins with a quote or one of ! & * [ { > | % @ `, "
    "stands in quotes, or after `>-` on the next lines"
)


class _Loader(yaml.SafeLoader):
    """PyYAML's parser; scalars without quotes and tags are read by `plain`.

    PyYAML checks all open brackets for each token (as of 6.0.3), so thousands
    of brackets take seconds. The brackets that were opened first are first in its
    table and are the first that are too old, so it is enough to check the first ones.
    """

    def resolve(self, kind: type[yaml.Node], value: str, implicit: Any) -> str:  # noqa: ANN401 - a pair, or a truth
        """Mark scalars with neither quotes nor a tag."""
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else f"{TAG}str"
        tag: str = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        return tag

    def next_possible_simple_key(self) -> int | None:
        """Return the position of the first token that may begin a key."""
        return next((key.token_number for key in self.possible_simple_keys.values()), None)

    def stale_possible_simple_keys(self) -> None:
        """Forget tokens that can no longer begin a key."""
        while self.possible_simple_keys:
            level, key = next(iter(self.possible_simple_keys.items()))
            if key.line == self.line and self.index - key.index <= _MAX_KEY_LENGTH:
                return
            if key.required:
                raise ScannerError(
                    "while scanning a simple key",
                    key.mark,
                    "could not find expected ':'",
                    self.get_mark(),
                )
            del self.possible_simple_keys[level]


class DocumentError(UserError):
    """Text that is not valid YAML for us; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class ContentError(DocumentError):
    """YAML that is well formed, with something in it that we do not take."""


class Document(msgspec.Struct, frozen=True):
    """One document: its value, and the line (from 1) of each path in it.

    Paths are written as in msgspec's messages: `$.spec.examples[0].name`.
    The text of a block scalar (`|` or `>`) begins on the next line.
    """

    value: Any
    lines: dict[str, int]
    blocks: frozenset[str]

    def line(self, path: str) -> int:
        """Return the line of a path, or of the innermost value around it that has one."""
        while path not in self.lines and len(path) > 1:
            path = path[: max(path.rfind("."), path.rfind("["), 1)]
        return self.lines.get(path, 1)


def read_documents(text: str, plain: Callable[[str], Scalar] = plain_value) -> Iterator[Document]:
    """Yield every document of a text; empty ones are left out.

    Args:
        text: Text in YAML.
        plain: Reads a scalar that has neither quotes nor a tag.

    Raises:
        DocumentError: A document is not valid YAML; has its line. Earlier
            documents have been yielded already.

    """
    loader = None
    try:
        loader = _Loader(text)  # rejects characters that YAML does not allow
        while loader.check_node():
            node = loader.get_node()
            reader = _Reader(plain)
            value = reader.read(node, "$") if node else None
            if value is not None:
                yield Document(value, reader.lines, frozenset(reader.blocks))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(part for part in (error.context, error.problem) if part)
        hint = f"; {_QUOTE_IT}" if any(known in message for known in _UNQUOTED) else ""
        raise DocumentError(message + hint, mark.line + 1 if mark else 1) from None
    except (yaml.YAMLError, RecursionError) as error:
        found = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise DocumentError(found.split("\n")[0], loader.line + 1 if loader else 1) from None
    finally:
        if loader:
            loader.dispose()


class _Reader:
    """Values of one document, with the line of each."""

    def __init__(self, plain: Callable[[str], Scalar]) -> None:
        self._plain = plain
        self.lines: dict[str, int] = {}
        self.blocks: set[str] = set()
        self._seen: set[int] = set()
        self._open: set[int] = set()
        self._aliased = 0

    def read(self, node: yaml.Node, path: str) -> Any:  # noqa: ANN401 - any YAML value
        line = node.start_mark.line + 1
        self.lines[path] = line
        self._count(node, line)
        if isinstance(node, yaml.ScalarNode):
            if node.style in {"|", ">"}:
                self.blocks.add(path)
            return self._scalar(node)
        if node.tag not in {f"{TAG}map", f"{TAG}seq"}:
            raise ContentError(f"the tag '{node.tag}' is not supported: leave it out", line)
        self._open.add(id(node))
        value = (
            self._mapping(node, path)
            if isinstance(node, yaml.MappingNode)
            else [self.read(child, f"{path}[{i}]") for i, child in enumerate(node.value)]
        )
        self._open.discard(id(node))
        return value

    def _count(self, node: yaml.Node, line: int) -> None:
        """Limit the values that aliases repeat."""
        if id(node) in self._open:
            raise ContentError("an alias (*name) stands within what it names", line)
        if id(node) in self._seen:
            self._aliased += 1
            if self._aliased > MAX_ALIASED:
                raise ContentError(
                    f"aliases (*name) repeat more than {MAX_ALIASED} values: write fewer", line
                )
        self._seen.add(id(node))

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: set[str] = set()
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _PLAIN and key_node.value == _MERGE:
                merged |= self._merge(child, path, values, line)
                continue
            key = self._key(key_node, line)
            if key in values and key not in merged:
                raise ContentError(f"the key `{key}` is given twice", line)
            merged.discard(key)
            values[key] = self.read(child, f"{path}.{key}")
            self.lines[f"{path}.{key}"] = line
        return values

    def _merge(self, node: yaml.Node, path: str, values: dict[str, Any], line: int) -> set[str]:
        """Add the keys of the mappings that `<<` names; the first of several mappings wins."""
        several = isinstance(node, yaml.SequenceNode)
        merged: dict[str, Any] = {}
        for each in reversed(node.value) if several else [node]:
            if not isinstance(each, yaml.MappingNode):
                raise ContentError("`<<` takes a mapping, or a list of them", line)
            merged |= self.read(each, path)
        for key in merged:
            if key in values:  # to kubectl what is merged would win, to most readers it would not
                raise ContentError(
                    f"the key `{key}` stands before `<<`, which has it too: write `<<` first", line
                )
        values |= merged
        return set(merged)

    def _key(self, node: yaml.Node, line: int) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise ContentError("a key is a list or a mapping, expected text", line)
        key = self._scalar(node)
        if isinstance(key, str):
            return key
        raise ContentError(f"the key `{node.value}` is not text: put it in quotes", line)

    def _scalar(self, node: yaml.ScalarNode) -> Scalar:
        line = node.start_mark.line + 1
        text: str = node.value
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                said = "half of a surrogate pair (\\ud800 to \\udfff) in a text: write it whole"
                raise ContentError(said, line) from None
        if node.tag == _PLAIN:
            return self._plain(text)
        try:
            return tagged_value(node.tag, text)
        except ValueError as error:
            hint = f"; {_QUOTE_IT}" if not node.tag.startswith(TAG) else ""
            raise ContentError(f"{error}{hint}", line) from None
