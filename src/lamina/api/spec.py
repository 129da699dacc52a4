"""What an action is: one declaration, from which decoding, dispatch, reference and coverage grow."""

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Protocol

from lamina.api.codes import DRY_RUN_PASSED, Code
from lamina.api.schema import param, read_fields
from lamina.control.accounts.states import Access
from lamina.failures import LaminaError

__all__ = ["Action", "Kind", "action", "param"]

VERSION: Final = "2014-05-26"
"""The version of the ECS API."""

_EXTENSIONS: Final = frozenset({"billing", "buckets", "bulk_exports", "data", "policy_runs", "keys"})


class Kind(Enum):
    """How the pipeline runs an action."""

    READS = "reads"  # in a reading session
    WRITES = "writes"  # in one transaction, together with its ClientToken
    MOVES_DATA = "moves data"  # outside any transaction, since it writes the bytes of disks
    READS_DATA = "reads data"  # the same, and changes nothing


class _Handler(Protocol):
    """A function annotated with its classes: `(call, scope, request) -> answer`.

    Actions that move data open their own transactions and take `(call, request)`.
    """

    __name__: str
    __module__: str
    __doc__: str | None

    def __call__(self, *arguments: Any) -> Any: ...  # noqa: ANN401 - each action has classes of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action of the API.

    Attributes:
        name: such as `CreateSnapshot`; matched in any case.
        room: the folder that it lives in, such as `snapshots`.
        kind: how the pipeline runs it.
        request: the class that parameters are decoded into.
        answer: the class that is encoded.
        handler: the function.
        errors: the codes of this action for failures of the rooms below, where the common table says
            otherwise.
        raises: failures of the rooms below that get their code from the common table.
        answers: codes that the handler itself answers.
        not_offered: codes of the vendor's documentation that are never answered, with the reason as key.
        resource: the request field that names what the action works on, for the audit line.
    """

    name: str
    room: str
    kind: Kind
    request: type
    answer: type
    handler: _Handler
    errors: Mapping[type[LaminaError], Code]
    raises: tuple[type[LaminaError], ...]
    answers: tuple[Code, ...]
    not_offered: Mapping[str, tuple[str, ...]]
    resource: str | None

    @property
    def is_extension(self) -> bool:
        """Whether the action is our own and not the vendor's; such actions live in rooms of their own."""
        return self.room in _EXTENSIONS

    @property
    def permission(self) -> str:
        """The name under which the action can be allowed or denied."""
        return f"ecs:{self.name}"

    @property
    def access(self) -> Access:
        """What a key must be allowed for it: follows from the kind, and from the names `Delete…` and `Schedule…`.

        Everything else that changes something is `CHANGE`, also what replaces the bytes of a disk.
        """
        if self.kind in (Kind.READS, Kind.READS_DATA):
            return Access.READ
        return Access.DELETE if self.name.startswith(("Delete", "Schedule")) else Access.CHANGE

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or "").strip().split("\n", 1)[0]

    @property
    def own_codes(self) -> frozenset[Code]:
        """The codes that follow from the declaration alone; see `lamina.api.errors.list_codes` for all."""
        found = {*self.errors.values(), *self.answers}
        for spec in _walk_fields(self.request):
            found.update((spec.rules.malformed, spec.rules.missing))
        if any(spec.name == "dry_run" for spec in read_fields(self.request)):
            found.add(DRY_RUN_PASSED)
        return frozenset(found)


def action(
    *,
    kind: Kind,
    errors: Mapping[type[LaminaError], Code] = MappingProxyType({}),
    raises: tuple[type[LaminaError], ...] = (),
    answers: tuple[Code, ...] = (),
    not_offered: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    resource: str | None = None,
) -> Callable[[_Handler], Action]:
    """Declare the function below as an action; its name is the function's, in camel case.

    Args:
        kind: how the pipeline runs it.
        errors: codes that differ from the common table of `lamina.api.errors`.
        raises: failures whose codes are those of that table.
        answers: codes that the handler itself answers.
        not_offered: documented codes that are never answered, by reason.
        resource: the request field that names what the action works on.
    """

    def declare(handler: _Handler) -> Action:
        hints = typing.get_type_hints(handler)
        request, answer = hints["request"], hints["return"]
        for cls in (request, answer):
            read_fields(cls)  # a field that does not fit on the wire fails here
        assert resource is None or resource in {field.name for field in dataclasses.fields(request)}
        return Action(
            name="".join(part.capitalize() for part in handler.__name__.split("_")),
            room=handler.__module__.split(".")[-2],
            kind=kind,
            request=request,
            answer=answer,
            handler=handler,
            errors=errors,
            raises=raises,
            answers=answers,
            not_offered=not_offered,
            resource=resource,
        )

    return declare


def _walk_fields(cls: type) -> Iterator[Any]:
    for spec in read_fields(cls):
        yield spec
        if dataclasses.is_dataclass(spec.kind):
            yield from _walk_fields(spec.kind)
