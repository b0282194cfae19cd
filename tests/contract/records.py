"""Judges records by their schemas; formats count."""

import json
from datetime import datetime

from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]

from tools.compatibility import Schema


def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


_FORMATS = FormatChecker(formats=["uuid"])
_FORMATS.checks("date-time", raises=ValueError)(_is_moment)


def check_schema(schema: Schema) -> None:
    """Raise where the schema itself is not valid JSON Schema 2020-12."""
    Draft202012Validator.check_schema(schema)


def errors_of(schema: Schema, value: bytes) -> list[str]:
    """Return what a validator says against a record."""
    validator = Draft202012Validator(schema, format_checker=_FORMATS)
    return [
        f"{error.json_path}: {error.message}" for error in validator.iter_errors(json.loads(value))
    ]
