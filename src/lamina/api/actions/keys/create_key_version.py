"""CreateKeyVersion: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.spec import Kind, action
from lamina.control.encryption.rotate import rotate_key
from lamina.control.keys.errors import KeyNotEnabledError, KeyNotFoundError
from lamina.control.scope import Scope
from lamina.ids import KeyId, RegionId, TaskId
from lamina.tasks.errors import TaskBusyError


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateKeyVersionRequest:
    """Parameters."""

    region_id: RegionId
    key_id: KeyId
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateKeyVersionAnswer:
    """The task that rotates the key; DescribeKey tells when it has ended."""

    task_id: TaskId


@action(
    kind=Kind.WRITES,
    raises=(
        KeyNotFoundError,
        KeyNotEnabledError,
        TaskBusyError,
    ),
    resource="key_id",
)
def create_key_version(_call: Call, scope: Scope, request: CreateKeyVersionRequest) -> CreateKeyVersionAnswer:
    """Rotate a key: new material takes over, and the old one is destroyed; no data is rewritten."""
    return CreateKeyVersionAnswer(task_id=rotate_key(scope, request.key_id))
