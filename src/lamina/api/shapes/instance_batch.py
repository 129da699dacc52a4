"""What becomes of several instances that something is done with in one call."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from lamina.api.errors import describe
from lamina.api.spec import Action
from lamina.control.instances.errors import InstanceNotFoundError
from lamina.control.instances.queries import get_instance
from lamina.control.scope import Scope
from lamina.failures import Refusal
from lamina.ids import InstanceId

ALL_TOGETHER: Final = "AllTogether"
SUCCESS_FIRST: Final = "SuccessFirst"
AT_ONCE_MAX: Final = 100
_DONE: Final = "200"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceResponseShape:
    """What became of one instance."""

    instance_id: InstanceId
    code: str
    message: str
    previous_status: str
    current_status: str


def do_for_each(
    scope: Scope,
    batch: Action,
    mode: str,
    instance_ids: Iterable[InstanceId],
    verb: Callable[[InstanceId], None],
) -> tuple[InstanceResponseShape, ...]:
    """Do something with several instances: `AllTogether` all or none, `SuccessFirst` those with which it can be done.

    Raises:
        Refusal: one of them is refused, and the mode is `AllTogether`; the caller's transaction is to be rolled back.
    """
    return tuple(_do(scope, batch, mode, instance_id, verb) for instance_id in dict.fromkeys(instance_ids))


def _do(
    scope: Scope, batch: Action, mode: str, instance_id: InstanceId, verb: Callable[[InstanceId], None]
) -> InstanceResponseShape:
    before = _find_status(scope, instance_id)
    code, message = _DONE, "success"
    try:
        with scope.session.begin_nested():  # a refusal may come after the first changes
            verb(instance_id)
    except Refusal as refusal:
        if mode == ALL_TOGETHER:
            raise
        reply = describe(refusal, batch)
        code, message = reply.code.text, reply.message
    return InstanceResponseShape(
        instance_id=instance_id,
        code=code,
        message=message,
        previous_status=before,
        current_status=_find_status(scope, instance_id),
    )


def _find_status(scope: Scope, instance_id: InstanceId) -> str:
    try:
        return get_instance(scope, instance_id).state.value
    except InstanceNotFoundError:
        return ""
