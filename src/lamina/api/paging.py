"""Pages of a list, in both styles of the API: numbered pages, and tokens.

A token is opaque to the client: it names the last item of the page before, so that items which come and go
between two calls are neither skipped nor repeated, and it is authenticated and bound to account, action and
filters, so that nobody can craft one or use it on another list.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import msgspec

from lamina.api.codes import ApiError, Code
from lamina.control.paging import Page, PageKey, Slice

INVALID_TOKEN: Final = Code(400, "InvalidParameter.NextToken")
_MAC_BYTES: Final = 16
_DEFAULT_SIZE: Final = 10
_MIN_TOKEN_SIZE: Final = 10  # MaxResults below 10 yields 10 (documented for links, locks and disks)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PAGING_FIELDS: Final = ("page_number", "page_size", "next_token", "max_results")
MAX_PAGE_SIZE: Final = 100
MAX_PAGE_NUMBER: Final = 10**12  # beyond any list, and its offset still fits into the database's integers


class PagedRequest(Protocol):
    """The four parameters of a list action."""

    @property
    def page_number(self) -> int | None:
        """The page, from 1 on."""
        ...

    @property
    def page_size(self) -> int | None:
        """Items per page."""
        ...

    @property
    def next_token(self) -> str | None:
        """The token of the page before."""
        ...

    @property
    def max_results(self) -> int | None:
        """Items per page, in token style."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFacts:
    """What an answer says about its page.

    Attributes:
        page_number: as asked for; 1 in token style.
        page_size: how many items a page holds.
        total_count: the length of the whole list.
        next_token: continues the list; empty on its last page.
    """

    page_number: int
    page_size: int
    total_count: int
    next_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pager:
    """Reads and writes the tokens of one list.

    Attributes:
        key: 32 secret bytes of the installation; tokens stay valid over a restart.
        account_id: whose list it is.
        action: which list it is.
    """

    key: bytes = field(repr=False)
    account_id: str
    action: str

    def read(self, request: PagedRequest, *, max_results: int = MAX_PAGE_SIZE) -> Slice:
        """What the client asks for; sizes beyond the limits are set to the limit.

        Token style is meant when `NextToken` or `MaxResults` is given.

        Raises:
            ApiError: the token was not made for this list.
        """
        if request.next_token is None and request.max_results is None:
            size = min(request.page_size or _DEFAULT_SIZE, MAX_PAGE_SIZE)
            return Slice(limit=size, offset=((request.page_number or 1) - 1) * size)
        size = min(max(request.max_results or _DEFAULT_SIZE, _MIN_TOKEN_SIZE), max_results)
        after = None if request.next_token is None else self._open(request.next_token, request)
        return Slice(limit=size, after=after)

    def describe(self, request: PagedRequest, wanted: Slice, page: Page[Any]) -> PageFacts:
        """What the answer says about the page that was read."""
        return PageFacts(
            page_number=wanted.offset // wanted.limit + 1,
            page_size=wanted.limit,
            total_count=page.total_count,
            next_token=self.write(page.next_key, request) if page.next_key else "",
        )

    def write(self, key: PageKey, request: PagedRequest) -> str:
        """A token that continues behind `key`."""
        micros = (key.created_at - _EPOCH) // timedelta(microseconds=1)
        return self.seal(msgspec.json.encode((micros, key.id)), request)

    def seal(self, raw: bytes, request: object) -> str:
        """A token that says `raw`, for a list that is not sorted by age."""
        return _spell(self._mac(raw, request) + raw)

    def unseal(self, token: str, request: object) -> bytes:
        """What was sealed for the same list.

        Raises:
            ApiError: the token was not made for this list.
        """
        try:
            sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (binascii.Error, ValueError) as error:
            raise _refuse() from error
        mac, raw = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
        is_genuine = hmac.compare_digest(mac, self._mac(raw, request))
        if not is_genuine or _spell(sealed) != token:  # the decoder takes other spellings of the same bytes
            raise _refuse()
        return raw

    def _open(self, token: str, request: PagedRequest) -> PageKey:
        micros, row_id = msgspec.json.decode(self.unseal(token, request), type=tuple[int, str])
        return PageKey(created_at=_EPOCH + timedelta(microseconds=micros), id=row_id)

    def _mac(self, raw: bytes, request: object) -> bytes:
        scope = msgspec.json.encode((self.account_id, self.action, _list_filters(request)))
        return hmac.new(self.key, hashlib.sha256(scope).digest() + raw, "sha256").digest()[:_MAC_BYTES]


def _spell(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _list_filters(request: Any) -> dict[str, Any]:  # noqa: ANN401 - any request class
    filters: dict[str, Any] = msgspec.to_builtins(request)
    return {name: value for name, value in filters.items() if name not in _PAGING_FIELDS}


def _refuse() -> ApiError:
    return ApiError(
        INVALID_TOKEN,
        "NextToken was not made for this list; repeat the filters of its first call, or start over",
    )
