"""DescribeKey: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.shapes.key import KeyShape, show_key
from lamina.api.spec import Kind, action
from lamina.control.keys.errors import KeyNotFoundError
from lamina.control.keys.queries import get_key
from lamina.control.scope import Scope
from lamina.ids import KeyId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeKeyRequest:
    """Parameters."""

    region_id: RegionId
    key_id: KeyId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeKeyAnswer:
    """The key."""

    key_metadata: KeyShape


@action(kind=Kind.READS, raises=(KeyNotFoundError,), resource="key_id")
def describe_key(_call: Call, scope: Scope, request: DescribeKeyRequest) -> DescribeKeyAnswer:
    """Show one key."""
    return DescribeKeyAnswer(key_metadata=show_key(get_key(scope, request.key_id)))
