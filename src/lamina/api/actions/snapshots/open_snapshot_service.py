"""OpenSnapshotService."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSnapshotServiceRequest:
    """Parameters."""

    region_id: RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSnapshotServiceAnswer:
    """Nothing but the request id."""


@action(kind=Kind.READS)
def open_snapshot_service(
    _call: Call,
    _scope: Scope,
    request: OpenSnapshotServiceRequest,  # noqa: ARG001 - its class is what is decoded
) -> OpenSnapshotServiceAnswer:
    """Activate the snapshot service, which is active for every account: nothing changes."""
    return OpenSnapshotServiceAnswer()
