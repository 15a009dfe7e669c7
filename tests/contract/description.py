"""Mollie's OpenAPI descriptions, as something that exchanges can be held against.

They are Mollie's and no part of this project, so they are looked for where a developer has put them:
`MOLLIE_OPENAPI_DIR`, else the folder `shared/mollie` beside the checkout.

An OpenAPI 3.1 schema is a JSON Schema of draft 2020-12, for which jsonschema is the library. What goes beyond a schema (paths,
methods, parameters, credentials, content types, statuses) is looked at here. Stricter than OpenAPI in two ways: a property
that is not described counts as a mistake, in requests and answers alike, and so does one that belongs only to the other of
the two (`readOnly`, `writeOnly`).
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from .deviations import (
    MISSING_NULLS,
    OAUTH_ERROR,
    OAUTH_OPERATIONS,
    OAUTH_STATUSES,
    REQUEST_TYPES,
    SCHEMES_OF_CALLERS,
    UNDESCRIBED_STATUSES,
)
from .exchanges import Exchange

ROOT = Path(__file__).parent.parent.parent
DIRECTORY = Path(os.environ.get("MOLLIE_OPENAPI_DIR") or ROOT.parent / "shared" / "mollie")
NEWEST = "mollie-connect"  # all that we use
OLDER_PAGE = "create-client-link"  # the page of that one operation, some months older

METHODS = ("get", "post", "patch", "put", "delete")
REQUEST, ANSWER = "urn:request", "urn:answer"
HAL_JSON = "application/hal+json"

Node = dict[str, Any]


class MissingDescriptionError(Exception):
    """The folder with Mollie's descriptions is not there, or not complete."""


def load(name: str) -> Description:
    """Raises `MissingDescriptionError`."""
    return Description(load_json(f"{name}.openapi.json"))


def load_json(name: str) -> Any:
    """Raises `MissingDescriptionError`."""
    try:
        return json.loads((DIRECTORY / name).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingDescriptionError(
            f"Mollie's {name} is not in {DIRECTORY}; MOLLIE_OPENAPI_DIR names another folder"
        ) from error


@dataclass(frozen=True, eq=False)  # known by its identity
class Operation:
    id: str
    path: str
    method: str
    node: Node
    path_node: Node


class Description:
    def __init__(self, document: Node) -> None:
        self.document = document

    @cached_property
    def operations(self) -> dict[str, Operation]:
        """By their id."""
        found = [
            Operation(node["operationId"], path, method, node, path_node)
            for path, path_node in self.document["paths"].items()
            for method, node in path_node.items()
            if method in METHODS
        ]
        return {operation.id: operation for operation in found}

    def find(self, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation of a call and the values in its path; a literal path goes before one with a placeholder."""
        for operation in sorted(self.operations.values(), key=lambda operation: operation.path.count("{")):
            pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(operation.path))
            match = re.fullmatch(pattern, path)
            if match and operation.method == method.lower():
                return operation, {name: unquote(value) for name, value in match.groupdict().items()}
        return None

    def mistakes(self, exchange: Exchange) -> list[str]:
        """What is wrong with a call and its answer, a sentence each."""
        return self.mistakes_of_request(exchange) + self.mistakes_of_answer(exchange)

    def mistakes_of_request(self, exchange: Exchange) -> list[str]:
        found = self.find(exchange.method, exchange.path)
        if found is None:
            return [f"{exchange}: no such operation"]
        operation, in_path = found
        mistakes = [
            *self._mistakes_of_credentials(operation, exchange),
            *self._mistakes_of_parameters(operation, exchange, in_path),
            *self._mistakes_of_body(operation, exchange),
        ]
        return [f"{exchange}: {mistake}" for mistake in mistakes]

    def mistakes_of_answer(self, exchange: Exchange) -> list[str]:
        found = self.find(exchange.method, exchange.path)
        if found is None:
            return [f"{exchange}: no such operation"]
        return [f"{exchange}: {mistake}" for mistake in self._mistakes_of_answer(found[0], exchange)]

    # Requests

    def _mistakes_of_credentials(self, operation: Operation, exchange: Exchange) -> Iterator[str]:
        named = {name for alternative in operation.node["security"] for name in alternative}
        usable = named & SCHEMES_OF_CALLERS[exchange.caller]
        if not usable:
            yield f"the credentials of the {exchange.caller} have no access, only {sorted(named)}"
            return
        schemes = self.document["components"]["securitySchemes"]
        # OAuth hands out bearer tokens: RFC 6750.
        expected = {str(schemes[name].get("scheme", "bearer")) for name in usable}
        sent = exchange.headers.get("authorization", "").partition(" ")[0].lower()
        if sent not in expected:
            yield f"credentials of the kind {sent!r}, not {sorted(expected)}"

    def parameters(self, operation: Operation) -> list[Node]:
        described = [*operation.path_node.get("parameters", []), *operation.node.get("parameters", [])]
        # OpenAPI ignores what stands beside a reference; these descriptions overrule it that way.
        return [
            {**self._resolve(parameter), **{key: parameter[key] for key in parameter if key != "$ref"}}
            for parameter in described
        ]

    def _mistakes_of_parameters(
        self, operation: Operation, exchange: Exchange, in_path: Mapping[str, str]
    ) -> Iterator[str]:
        sent = {"path": dict(in_path), "query": dict(exchange.query), "header": dict(exchange.headers)}
        if len(sent["query"]) < len(exchange.query):
            yield "a query parameter is there twice"
        unknown = set(sent["query"])
        for parameter in self.parameters(operation):
            place, name = parameter["in"], parameter["name"]
            key = name.lower() if place == "header" else name
            if place == "query":
                unknown.discard(name)
            if key not in sent[place]:
                if parameter.get("required"):
                    yield f"the {place} parameter {name} is missing"
                continue
            value = _typed(sent[place][key], parameter["schema"])
            yield from self._mistakes(REQUEST, parameter["schema"], value, f"{place} parameter {name}")
        if unknown:
            yield f"query parameters that are not described: {sorted(unknown)}"

    def _mistakes_of_body(self, operation: Operation, exchange: Exchange) -> Iterator[str]:
        if "requestBody" not in operation.node:
            if exchange.body:
                yield "a body that is not described"
            return
        content = self._resolve(operation.node["requestBody"])["content"]
        described = REQUEST_TYPES.get((operation.id, exchange.content_type), exchange.content_type)
        if described not in content:
            yield f"a body of the type {exchange.content_type!r}, not {sorted(content)}"
            return
        try:
            body = _read_body(exchange)
        except ValueError as error:
            yield f"the body cannot be read: {error}"
            return
        pointer = f"/paths/{_escape(operation.path)}/{operation.method}/requestBody/content/{_escape(described)}/schema"
        yield from self._mistakes(REQUEST, {"$ref": f"{REQUEST}#{pointer}"}, body, "request body")

    # Answers

    def _mistakes_of_answer(self, operation: Operation, exchange: Exchange) -> Iterator[str]:
        described = operation.node["responses"].get(str(exchange.status))
        if described is None:
            yield from self._mistakes_of_undescribed(operation, exchange)
            return
        content = self._resolve(described).get("content")
        if content is None:
            if exchange.answer:
                yield "an answer with a body, where none is described"
            return
        if exchange.answer_type not in content:
            yield f"an answer of the type {exchange.answer_type!r}, not {sorted(content)}"
            return
        pointer = described.get("$ref", "").removeprefix("#") or (
            f"/paths/{_escape(operation.path)}/{operation.method}/responses/{exchange.status}"
        )
        schema = {"$ref": f"{ANSWER}#{pointer}/content/{_escape(exchange.answer_type)}/schema"}
        yield from self._mistakes_of_json(schema, exchange)

    def _mistakes_of_undescribed(self, operation: Operation, exchange: Exchange) -> Iterator[str]:
        """Of an answer that only another source than the description knows."""
        if {(operation.id, exchange.status), ("*", exchange.status)}.isdisjoint(UNDESCRIBED_STATUSES):
            yield "a status that is documented nowhere"
        elif operation.id in OAUTH_OPERATIONS and exchange.answer_type == "application/json":
            if exchange.status not in OAUTH_STATUSES:
                yield "an error in the words of OAuth, where it is Mollie's own"
            yield from self._mistakes_of_json(OAUTH_ERROR, exchange)
        elif exchange.answer_type == HAL_JSON:
            yield from self._mistakes_of_json(self.error_schema, exchange)
        else:
            yield f"an error of the type {exchange.answer_type!r}"

    @property
    def error_schema(self) -> Node:
        """Mollie's error object; the older page has it only within its answers."""
        if "schemas" in self.document["components"]:
            return {"$ref": f"{ANSWER}#/components/schemas/error-response", "unevaluatedProperties": False}
        pointer = f"/paths/~1v2~1client-links/post/responses/422/content/{_escape(HAL_JSON)}/schema"
        return {"$ref": f"{ANSWER}#{pointer}"}

    def _mistakes_of_json(self, schema: Node, exchange: Exchange) -> Iterator[str]:
        try:
            answer = exchange.json()
        except ValueError as error:
            yield f"the answer is not JSON: {error}"
            return
        yield from self._mistakes(ANSWER, schema, answer, "answer")
        # Documented in words alone: the number in an error object is the status of the answer.
        if (
            exchange.answer_type == HAL_JSON
            and exchange.status >= 400
            and answer.get("status") != exchange.status
        ):
            yield "the error object names another status"

    # Both

    def _mistakes(self, base: str, schema: Node, value: object, what: str) -> Iterator[str]:
        validator = Draft202012Validator(_absolute(schema, base), registry=self._registry)
        for error in validator.iter_errors(value):
            yield f"{what} {error.json_path}: {error.message}"

    @cached_property
    def _registry(self) -> Registry[Any]:
        document = copy.deepcopy(self.document)
        for pointer in MISSING_NULLS:
            _add_null(document, pointer)
        return Registry().with_resources(
            (uri, DRAFT202012.create_resource(_closed(document, foreign)))
            for uri, foreign in ((REQUEST, "readOnly"), (ANSWER, "writeOnly"))
        )

    def _resolve(self, node: Node) -> Node:
        return at(self.document, node["$ref"].removeprefix("#")) if "$ref" in node else node


def at(document: Node, pointer: str) -> Any:
    """What a JSON pointer leads to. Raises `KeyError`."""
    found: Any = document
    for part in pointer.split("/")[1:]:
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def _escape(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _absolute(schema: Node, base: str) -> Node:
    """The schema of a parameter stands alone, away from the document that its references mean."""
    reference = schema.get("$ref", "")
    return {**schema, "$ref": base + reference} if reference.startswith("#") else schema


def _add_null(document: Node, pointer: str) -> None:
    try:
        node = at(document, pointer)
    except KeyError:
        return  # the other description
    node["enum"] = [*node["enum"], None]


def _closed(node: Any, foreign: str) -> Any:
    """A copy in which nothing but the described properties counts, without those that are marked `foreign`."""
    if isinstance(node, list):
        return [_closed(item, foreign) for item in node]
    if not isinstance(node, dict):
        return node
    copied = {
        key: value if key in ("example", "examples", "enum", "required") else _closed(value, foreign)
        for key, value in node.items()
    }
    if isinstance(copied.get("properties"), dict):
        dropped = {name for name, schema in copied["properties"].items() if schema.get(foreign)}
        copied["properties"] = {
            name: _sealed(schema) for name, schema in copied["properties"].items() if name not in dropped
        }
        copied["required"] = [name for name in copied.get("required", []) if name not in dropped]
    for key in ("items", "schema"):
        if isinstance(copied.get(key), dict):
            copied[key] = _sealed(copied[key])
    return copied


def _sealed(schema: Node) -> Node:
    """Put beside `allOf` and `$ref`, where it knows what all of them have described; says nothing of other types."""
    return {**schema, "unevaluatedProperties": False}


def _typed(text: str, schema: Node) -> object:
    """The value of a parameter, which travels as text."""
    types = schema.get("type", "string")
    types = types if isinstance(types, list) else [types]
    if "integer" in types and re.fullmatch(r"-?\d+", text, re.ASCII):
        return int(text)
    if "boolean" in types and text in ("true", "false"):
        return text == "true"
    return text


def _read_body(exchange: Exchange) -> Any:
    """Raises `ValueError`."""
    if exchange.content_type != "application/x-www-form-urlencoded":
        return json.loads(exchange.body)
    pairs = parse_qsl(exchange.body.decode(), keep_blank_values=True, strict_parsing=True)
    form = dict(pairs)
    if len(form) < len(pairs):
        raise ValueError("a field is there twice")
    return form
