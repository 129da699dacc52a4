"""Dataclasses and the wire: decode a request class from parameters, turn an answer class into a tree.

The name on the wire follows from the field (`disk_id` is `DiskId`, `tag` of objects is `Tag.N.Key`); `param`
states what does not follow. Each class is read once, when its action is loaded, and a field that cannot be
decoded fails there and not in a call.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, Final, Literal, NewType

from lamina.api.codes import INVALID_PARAMETER, MISSING_PARAMETER, ApiError, Code
from lamina.api.wire import Parameters, Tree, parse_text_list

_FIELD: Final = "lamina.api"
_MAX_LIST: Final = 1000
_INT_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class DiskBytes:
    """An answer that is no tree: raw bytes of a disk, sent as they are.

    Attributes:
        data: the bytes.
    """

    data: bytes = dataclasses.field(repr=False)


Check = Callable[[str], str | None]
"""Looks at a text and answers what is wrong with it, or `None`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a field says beyond its type; see `param`."""

    wire: str | None = None
    form: Literal["repeated", "json", "comma", "body"] = "repeated"
    check: Check | None = None
    choices: tuple[str, ...] = ()
    between: tuple[int, int] | None = None
    at_most: int = _MAX_LIST
    empty_counts: bool = False
    malformed: Code = INVALID_PARAMETER
    missing: Code = MISSING_PARAMETER


def param(default: Any = dataclasses.MISSING, **rules: Any) -> Any:  # noqa: ANN401 - as dataclasses.field does
    """A field of a request or an answer, with what does not follow from its type.

    Args:
        default: the value when the parameter is absent; without one it is mandatory.
        **rules: the attributes of `Rules`:
            wire: the name, where it does not follow from the field's (`KMSKeyId`). In an answer a list is
                written as `Outer/Item`, such as `Tags/Tag`, for the wrapper object that the API puts around
                lists.
            form: how a list of texts is written: numbered (`repeated`), as JSON text, or with commas;
                `body` is the raw body of the call.
            check: a function that answers what is wrong with a text.
            choices: the words that are allowed, matched in any case and handed on as written here.
            between: the least and greatest number allowed.
            at_most: the longest list allowed.
            empty_counts: an empty value is a value; otherwise it counts as absent.
            malformed: the code when the value breaks a rule.
            missing: the code when a mandatory value is absent.
    """
    metadata = {_FIELD: Rules(**rules)}
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """One field as the wire sees it.

    Attributes:
        name: the Python name.
        wire: the name on the wire, without the names of the objects around it.
        kind: the type of the value, or of each item of a list; a dataclass for an object.
        is_list: whether there are several.
        is_mandatory: whether a call without it is refused.
        rules: everything else.
    """

    name: str
    wire: str
    kind: type
    is_list: bool
    is_mandatory: bool
    rules: Rules


@cache
def read_fields(cls: type) -> tuple[FieldSpec, ...]:
    """The fields of a request or answer class.

    Raises:
        TypeError: a field has a type that does not fit on the wire.
    """
    hints = typing.get_type_hints(cls)
    return tuple(_read_field(field, hints[field.name]) for field in dataclasses.fields(cls))


def decode(cls: type, parameters: Parameters, body: bytes = b"", prefix: str = "") -> Any:  # noqa: ANN401 - a `cls`
    """An instance of `cls` from the parameters (those under `prefix`, for an object within an object).

    Raises:
        ApiError: a mandatory parameter is missing or a value breaks its rules.
    """
    values: dict[str, object] = {}
    for spec in read_fields(cls):
        if spec.rules.form == "body":
            values[spec.name] = body
            continue
        value = _decode_field(spec, parameters, prefix + spec.wire)
        if value is not None:
            values[spec.name] = value
        elif spec.is_mandatory:
            raise ApiError(
                spec.rules.missing,
                f"The parameter {prefix}{spec.wire} is mandatory for this action and is missing",
            )
    return cls(**values)


def to_tree(value: object) -> Tree:
    """An answer class as a tree: `None` fields are left out, instants become text with seconds.

    Raises:
        TypeError: something in it does not fit on the wire.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _object_to_tree(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, (tuple, list)):
        return [to_tree(item) for item in value]
    if isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} does not fit into an answer")


def _object_to_tree(value: Any) -> Mapping[str, Tree]:  # noqa: ANN401 - any dataclass
    tree: dict[str, Tree] = {}
    cls: type = type(value)
    for spec in read_fields(cls):
        item = getattr(value, spec.name)
        if item is None:
            continue
        outer, _, inner = spec.wire.partition("/")
        tree[outer] = {inner: to_tree(item)} if inner else to_tree(item)
    return tree


def _read_field(field: "dataclasses.Field[Any]", hint: Any) -> FieldSpec:  # noqa: ANN401 - a type expression
    rules: Rules = field.metadata.get(_FIELD, Rules())
    kind, is_list = _read_hint(hint)
    if kind not in (str, int, bool, float, bytes, datetime) and not dataclasses.is_dataclass(kind):
        raise TypeError(f"the field {field.name} has the type {hint}, which does not fit on the wire")
    return FieldSpec(
        name=field.name,
        wire=rules.wire or "".join(part.capitalize() for part in field.name.split("_")),
        kind=kind,
        is_list=is_list,
        is_mandatory=field.default is dataclasses.MISSING,
        rules=rules,
    )


def _read_hint(hint: Any) -> tuple[Any, bool]:  # noqa: ANN401 - a type expression
    if isinstance(hint, NewType):
        return _read_hint(hint.__supertype__)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        [inner] = [argument for argument in arguments if argument is not type(None)]
        return _read_hint(inner)
    if origin is tuple:
        return _read_hint(arguments[0])[0], True
    return hint, False


def _decode_field(spec: FieldSpec, parameters: Parameters, name: str) -> object:
    if dataclasses.is_dataclass(spec.kind):
        return _decode_objects(spec, parameters, name)
    if spec.is_list:
        return _decode_list(spec, parameters, name)
    text = parameters.get(name)
    if text is None or (text == "" and not spec.rules.empty_counts):
        return None
    return _decode_value(spec, text, name)


def _decode_objects(spec: FieldSpec, parameters: Parameters, name: str) -> object:
    if not spec.is_list:
        return decode(spec.kind, parameters, prefix=name + ".") if parameters.has_prefix(name) else None
    indexes = parameters.list_indexes(name)
    _check_count(spec, len(indexes), name)
    return tuple(decode(spec.kind, parameters, prefix=f"{name}.{index}.") for index in indexes) or None


def _decode_list(spec: FieldSpec, parameters: Parameters, name: str) -> object:
    if spec.rules.form == "repeated":
        given = [parameters.get(f"{name}.{index}") for index in parameters.list_indexes(name)]
        texts = tuple(text for text in given if text)
        if not texts:
            return None
    else:
        text = parameters.get(name)
        if not text:
            return None
        texts = _split_list(spec, text, name)  # an empty array is a value: a filter that nothing passes
    _check_count(spec, len(texts), name)
    return tuple(_decode_value(spec, text, name) for text in texts)


def _split_list(spec: FieldSpec, text: str, name: str) -> tuple[str, ...]:
    if spec.rules.form == "comma":
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        return parse_text_list(text, name)
    except ApiError as error:
        raise ApiError(spec.rules.malformed, str(error)) from error


def _check_count(spec: FieldSpec, count: int, name: str) -> None:
    if count > spec.rules.at_most:
        raise ApiError(
            spec.rules.malformed,
            f"The parameter {name} has {count} entries; at most {spec.rules.at_most} are accepted",
        )


def _decode_value(spec: FieldSpec, text: str, name: str) -> object:
    try:
        return _DECODERS[spec.kind](text, spec.rules)
    except ValueError as error:
        raise ApiError(spec.rules.malformed, f"The parameter {name} is not valid: {error}") from error


def _decode_text(text: str, rules: Rules) -> str:
    if rules.choices:
        by_folded = {choice.casefold(): choice for choice in rules.choices}
        if text.casefold() not in by_folded:
            raise ValueError(f"it must be one of {', '.join(rules.choices)}")
        return by_folded[text.casefold()]
    if rules.between is not None and not rules.between[0] <= len(text) <= rules.between[1]:
        raise ValueError(
            f"it has {len(text)} characters and must have {rules.between[0]} to {rules.between[1]}"
        )
    complaint = rules.check(text) if rules.check else None
    if complaint is not None:
        raise ValueError(complaint)
    return text


def _decode_int(text: str, rules: Rules) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _INT_DIGITS):
        raise ValueError("it must be a whole number")
    number = int(text)
    if rules.between is not None and not rules.between[0] <= number <= rules.between[1]:
        raise ValueError(f"it is {number} and must be from {rules.between[0]} to {rules.between[1]}")
    return number


def _decode_bool(text: str, _rules: Rules) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("it must be true or false")
    return text.lower() == "true"


def _decode_float(text: str, _rules: Rules) -> float:
    digits = text.replace(".", "", 1)
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _INT_DIGITS):
        raise ValueError("it must be a number")
    return float(text)


_DECODERS: Final[Mapping[type, Callable[[str, Rules], object]]] = {
    str: _decode_text,
    int: _decode_int,
    float: _decode_float,
    bool: _decode_bool,
}
