"""YAML as Kubernetes reads it, with every value's place kept for messages.

Differs from a plain YAML load in what would surprise an author: a date stays
text, a key given twice is an error, aliases are not followed (a few lines of
them can expand without bound), and an error names its line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

# The API server takes no larger object; a file of rules has no reason to be larger either.
MAX_FILE_BYTES = 3 * 1024 * 1024
_TIMESTAMP_TAG = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """SafeLoader without dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP_TAG]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class DocumentError(Exception):
    """Text that is not YAML as we take it; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class Document(msgspec.Struct, frozen=True):
    """One document: its value, and the line (from 1) of each path in it.

    Paths are written as msgspec writes them: `$.spec.examples[0].name`.
    A block scalar (`|` or `>`) has its text from the line after.
    """

    value: Any
    lines: dict[str, int]
    blocks: frozenset[str]

    def line(self, path: str) -> int:
        """Give the line of a path, or of the nearest thing around it."""
        while path not in self.lines and len(path) > 1:
            path = path[: max(path.rfind("."), path.rfind("["), 1)]
        return self.lines.get(path, 1)


def read_documents(text: str) -> Iterator[Document]:
    """Read every document of a text; empty ones are left out.

    Raises:
        DocumentError: with the line, when a document is no YAML; those before
            it have been given by then.

    """
    loader = None
    try:
        loader = _Loader(text)  # refuses characters that YAML does not have
        while loader.check_node():
            node = loader.get_node()
            reader = _Reader(loader)
            value = reader.read(node, "$") if node else None
            if value is not None:
                yield Document(value, reader.lines, frozenset(reader.blocks))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = " ".join(part for part in (error.context, error.problem) if part)
        raise DocumentError(message, mark.line + 1 if mark else 1) from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        # The middle three: how PyYAML fails on `!!int ""`, `!!bool x` and `!!timestamp x`.
        said = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise DocumentError(said.split("\n")[0], loader.line + 1 if loader else 1) from None
    finally:
        if loader:
            loader.dispose()


class _Reader:
    def __init__(self, loader: _Loader) -> None:
        self.lines: dict[str, int] = {}
        self.blocks: set[str] = set()
        self._loader = loader
        self._seen: set[int] = set()

    def read(self, node: yaml.Node, path: str) -> Any:  # noqa: ANN401 - any YAML value
        if id(node) in self._seen:
            raise DocumentError("an alias (*name) is not supported", node.start_mark.line + 1)
        self._seen.add(id(node))
        self.lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(child, f"{path}[{i}]") for i, child in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}:
            self.blocks.add(path)
        return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Any:  # noqa: ANN401 - any YAML value
        value = self._loader.construct_object(node)
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                line = node.start_mark.line + 1
                said = "half of a surrogate pair (\\ud800 to \\udfff) in a text: write it whole"
                raise DocumentError(said, line) from None
        return value

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, child in node.value:
            line = key_node.start_mark.line + 1
            key = self._scalar(key_node)
            if not isinstance(key, str):
                raise DocumentError(f"the key `{key}` is not text: put it in quotes", line)
            if key in values:
                raise DocumentError(f"the key `{key}` is given twice", line)
            values[key] = self.read(child, f"{path}.{key}")
            self.lines[f"{path}.{key}"] = line
        return values
