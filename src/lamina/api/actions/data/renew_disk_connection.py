"""RenewDiskConnection: an extension of Lamina."""

from dataclasses import dataclass
from datetime import datetime

from lamina.api.call import Call
from lamina.api.spec import Kind, action
from lamina.control.disks.connect import renew_connection
from lamina.control.disks.errors import ConnectionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import ConnectionId


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewDiskConnectionRequest:
    """Parameters."""

    connection_id: ConnectionId


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewDiskConnectionAnswer:
    """When the connection ends unless it is renewed again."""

    expired_time: datetime


@action(
    kind=Kind.WRITES,
    resource="connection_id",
    raises=(ConnectionNotFoundError,),
)
def renew_disk_connection(
    _call: Call, scope: Scope, request: RenewDiskConnectionRequest
) -> RenewDiskConnectionAnswer:
    """Keep a connection; reading and writing through it does the same."""
    return RenewDiskConnectionAnswer(expired_time=renew_connection(scope, request.connection_id).expires_at)
