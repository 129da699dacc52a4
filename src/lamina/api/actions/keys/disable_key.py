"""DisableKey: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.spec import Kind, action
from lamina.control.keys.errors import KeyNotFoundError, KeyStateError, ServiceKeyError
from lamina.control.keys.modify import disable_key as disable
from lamina.control.scope import Scope
from lamina.ids import KeyId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableKeyRequest:
    """Parameters."""

    region_id: RegionId
    key_id: KeyId
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableKeyAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        KeyNotFoundError,
        KeyStateError,
        ServiceKeyError,
    ),
    resource="key_id",
)
def disable_key(_call: Call, scope: Scope, request: DisableKeyRequest) -> DisableKeyAnswer:
    """Keep a key from being used until it is enabled again; nothing is lost."""
    disable(scope, request.key_id)
    return DisableKeyAnswer()
