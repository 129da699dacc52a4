"""EnableKey: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.spec import Kind, action
from lamina.control.keys.errors import KeyNotFoundError, KeyStateError, ServiceKeyError
from lamina.control.keys.modify import enable_key as enable
from lamina.control.scope import Scope
from lamina.control.snapshots.chain import recount_chains
from lamina.ids import KeyId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableKeyRequest:
    """Parameters."""

    region_id: RegionId
    key_id: KeyId
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableKeyAnswer:
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
def enable_key(_call: Call, scope: Scope, request: EnableKeyRequest) -> EnableKeyAnswer:
    """Let a key be used again."""
    enable(scope, request.key_id)
    recount_chains(scope.session, request.key_id)
    return EnableKeyAnswer()
