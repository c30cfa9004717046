"""What is published of a rule says what the model says, everywhere and with a bound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml

from services.rules.model import Aggregate, Example, Given, Spec
from tools.shipped import reference
from tools.shipped.resource_definition import definition, render, schema
from tools.shipped.validations import VALIDATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path("k8s/crds/fraudrules.yaml")
SCHEMA = schema()
SPEC = SCHEMA["properties"]["spec"]
AGGREGATE = SPEC["properties"]["aggregates"]["items"]
EXAMPLE = SPEC["properties"]["examples"]["items"]
GIVEN = EXAMPLE["properties"]["given"]["items"]
# The API server describes these itself, and takes nothing else of metadata.
STANDARD = {"apiVersion", "kind", "metadata"}
BOUNDED_BY = {
    "string": ({"maxLength"}, {"enum"}, {"format"}),
    "integer": ({"minimum", "maximum"}, {"minimum", "format"}),
    "array": ({"maxItems", "x-kubernetes-list-type"},),
    "object": ({"properties"}, {"maxProperties", "additionalProperties"}),
}


def nodes(path: str, node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A schema's nodes with their paths, from the root down."""
    yield path, node
    for name, field in node.get("properties", {}).items():
        yield from nodes(f"{path}.{name}".lstrip("."), field)
    if "items" in node:
        yield from nodes(f"{path}[]", node["items"])


NODES = {path: node for path, node in nodes("", SCHEMA) if path not in STANDARD}


def test_the_file_is_what_the_model_gives() -> None:
    assert FILE.read_text(encoding="utf-8") == render(), "run `make crd`"


def test_the_yaml_says_what_the_definition_says() -> None:
    assert yaml.safe_load(render()) == definition()


def test_the_tables_of_the_documentation_are_what_the_model_gives() -> None:
    text = reference.DOCUMENT.read_text(encoding="utf-8")
    assert reference.rewrite(text) == text, "run `make crd`"


@pytest.mark.parametrize(
    "text",
    [
        "no markers",
        f"{reference.BEGIN} no end",
        f"{reference.END} before {reference.BEGIN}",
        f"{reference.BEGIN} {reference.BEGIN} {reference.END}",
        f"{reference.BEGIN} {reference.END} {reference.END}",
    ],
)
def test_a_document_without_its_markers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected one <!-- fields -->"):
        reference.rewrite(text)


def test_what_stands_around_the_tables_stays() -> None:
    old = f"before\n{reference.BEGIN}\nstale\n{reference.END}\nafter\n"
    new = reference.rewrite(old)
    assert new.startswith(f"before\n{reference.BEGIN}\n| field |")
    assert new.endswith(f"|\n{reference.END}\nafter\n")
    assert "stale" not in new


@pytest.mark.parametrize("path", NODES)
def test_every_field_is_described(path: str) -> None:
    description = NODES[path]["description"]
    assert description.endswith("."), "a sentence"


@pytest.mark.parametrize("path", NODES)
def test_every_field_has_its_bounds(path: str) -> None:
    node = NODES[path]
    assert any(bounds <= node.keys() for bounds in BOUNDED_BY[node["type"]])


def test_every_field_is_in_the_reference() -> None:
    rows = [
        line.split("`")[1] for line in reference.tables().splitlines() if line.startswith("| `")
    ]
    fields = {path for path in NODES if "." in path and not path.endswith("[]")}
    assert fields | {"metadata.name", "metadata.generation"} == set(rows)


@pytest.mark.parametrize(
    ("struct", "node"),
    [(Spec, SPEC), (Aggregate, AGGREGATE), (Example, EXAMPLE), (Given, GIVEN)],
)
def test_the_fields_are_the_models(struct: type[msgspec.Struct], node: dict[str, Any]) -> None:
    fields = msgspec.structs.fields(struct)
    assert list(node["properties"]) == [field.encode_name for field in fields]
    assert node["required"] == [field.encode_name for field in fields if field.required]


def test_the_defaults_are_the_models() -> None:
    fields = SPEC["properties"].items()
    published = {name: field["default"] for name, field in fields if "default" in field}
    model = {field.encode_name: field.default for field in msgspec.structs.fields(Spec)}
    assert published == {"mode": "Enforce", "action": "Flag", "score": 100, "severity": "Medium"}
    assert published == {name: model[name] for name in published}


def test_a_field_without_a_default_is_required_or_empty() -> None:
    without = [
        field
        for field in msgspec.structs.fields(Spec)
        if not field.required and "default" not in SPEC["properties"][field.encode_name]
    ]
    assert [(field.encode_name, field.default) for field in without] == [
        ("aggregates", ()),
        ("description", ""),
        ("reasonCode", ""),
        ("examples", ()),
    ]


def test_the_defaults_of_what_is_given_are_the_models() -> None:
    published = {k: f["default"] for k, f in GIVEN["properties"].items() if "default" in f}
    model = {field.encode_name: field.default for field in msgspec.structs.fields(Given)}
    assert published == {"repeat": 1, "every": "1s"}
    assert published == {name: model[name] for name in published}


def test_no_default_is_published_inside_a_list() -> None:
    """The API server would add it, and Argo CD show the rule as out of sync for ever."""
    (version,) = definition()["spec"]["versions"]
    published = dict(nodes("", version["schema"]["openAPIV3Schema"]))
    assert published.keys() >= NODES.keys()
    assert [path for path, node in published.items() if "[]" in path and "default" in node] == []
    assert published["spec.mode"]["default"] == "Enforce"


def test_choices_stand_in_the_models_order() -> None:
    functions = ["Count", "CountDistinct", "Sum", "Avg", "Min", "Max"]
    assert AGGREGATE["properties"]["function"]["enum"] == functions
    assert SPEC["properties"]["severity"]["enum"] == ["Low", "Medium", "High", "Critical"]


def test_the_published_defaults_change_nothing_for_the_engine() -> None:
    defaults = {k: v["default"] for k, v in SPEC["properties"].items() if "default" in v}
    expression = "transaction.amount > 0.0"
    plain = msgspec.convert({"expression": expression}, Spec)
    assert msgspec.convert({**defaults, "expression": expression}, Spec) == plain


def test_entries_of_lists_of_objects_are_told_apart_by_a_required_field() -> None:
    lists = {path: node for path, node in NODES.items() if "properties" in node.get("items", {})}
    # What is given is told apart by its order alone.
    assert lists.pop("spec.examples[].given")["x-kubernetes-list-type"] == "atomic"
    keys = {path: node["x-kubernetes-list-map-keys"] for path, node in lists.items()}
    assert keys == {
        "spec.aggregates": ["name"],
        "spec.examples": ["name"],
        "status.conditions": ["type"],
    }
    for path, (key,) in keys.items():
        assert key in lists[path]["items"]["required"]
        assert f"Each {key} is unique." in lists[path]["description"]


def test_conditions_are_those_of_kubernetes() -> None:
    """The bounds of metav1.Condition, so that clients may read them as such."""
    condition = NODES["status.conditions[]"]
    required = {"type", "status", "reason", "message", "lastTransitionTime"}
    assert set(condition["required"]) == required
    assert condition["properties"].keys() == required | {"observedGeneration"}
    bounds = {name: field.get("maxLength") for name, field in condition["properties"].items()}
    assert (bounds["type"], bounds["reason"], bounds["message"]) == (316, 1024, 32768)
    assert condition["properties"]["lastTransitionTime"]["format"] == "date-time"


def test_the_columns_are_what_people_look_for() -> None:
    columns = definition()["spec"]["versions"][0]["additionalPrinterColumns"]
    plain = [column["name"] for column in columns if not column.get("priority")]
    wide = [column["name"] for column in columns if column.get("priority")]
    assert plain == ["Mode", "Severity", "Ready", "Applied", "Matches", "Age"]
    assert wide == ["Reason", "Action", "Score"]


@pytest.mark.parametrize("column", definition()["spec"]["versions"][0]["additionalPrinterColumns"])
def test_every_column_shows_a_field_of_its_type(column: dict[str, str]) -> None:
    if column["type"] == "date":
        assert column["jsonPath"] == ".metadata.creationTimestamp"
    else:
        path = column["jsonPath"].replace('[?(@.type=="Ready")]', "[]").lstrip(".")
        assert NODES[path]["type"] == column["type"]


@pytest.mark.parametrize("validation", VALIDATIONS)
def test_what_is_refused_is_said_at_a_field_of_the_resource(validation: Any) -> None:
    assert f"{validation.node}{validation.field_path}".lstrip(".") in NODES
    assert validation.message.startswith("found ")
    assert ", expected " in validation.message or ": expected " in validation.message
    assert "; " in validation.message, "what to do"
