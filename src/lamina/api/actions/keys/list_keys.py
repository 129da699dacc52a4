"""ListKeys: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.paging import MAX_PAGE_NUMBER, MAX_PAGE_SIZE
from lamina.api.schema import param
from lamina.api.shapes.key import KeyShape, show_key
from lamina.api.spec import Kind, action
from lamina.control.keys import queries
from lamina.control.paging import Slice
from lamina.control.scope import Scope
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class ListKeysRequest:
    """Parameters. Pages are numbered; this list has no tokens."""

    region_id: RegionId
    page_number: int = param(default=1, between=(1, MAX_PAGE_NUMBER))
    page_size: int = param(default=10, between=(1, MAX_PAGE_SIZE))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListKeysAnswer:
    """One page of keys, newest first."""

    keys: tuple[KeyShape, ...] = param(wire="Keys/Key")
    total_count: int
    page_number: int
    page_size: int


@action(kind=Kind.READS)
def list_keys(_call: Call, scope: Scope, request: ListKeysRequest) -> ListKeysAnswer:
    """List the keys of the account in the region."""
    offset = (request.page_number - 1) * request.page_size
    page = queries.list_keys(scope, Slice(limit=request.page_size, offset=offset))
    return ListKeysAnswer(
        keys=tuple(show_key(key) for key in page.items),
        total_count=page.total_count,
        page_number=request.page_number,
        page_size=request.page_size,
    )
