"""The price list as files, for whoever asks: `GET /prices.csv` and `GET /prices.json`, without a signature.

Prices are public like those in a shop window. The files change when the operator changes the list and restarts the
service, so that they have one tag each (RFC 9110, 8.8.3) and may be cached.
"""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from blake3 import blake3

from lamina.api.server import HttpReply, HttpRequest
from lamina.control.tariff.prices import COLUMNS, Price, PriceList

_CACHE: Final = "public, max-age=3600"
_TAG_LENGTH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    kind: str
    name: str
    body: bytes = field(repr=False)

    @property
    def tag(self) -> str:
        return f'"{blake3(self.body).hexdigest()[:_TAG_LENGTH]}"'


def with_price_list(
    prices: PriceList, answer: Callable[[HttpRequest], HttpReply]
) -> Callable[[HttpRequest], HttpReply]:
    """Answer requests for the files of the price list, and hand on all others.

    Args:
        prices: the list.
        answer: what answers the others.
    """
    files = {
        "/prices.csv": _File(kind="text/csv; charset=utf-8", name="prices.csv", body=write_csv(prices)),
        "/prices.json": _File(kind="application/json", name="prices.json", body=write_json(prices)),
    }

    def choose(request: HttpRequest) -> HttpReply:
        file = files.get(request.path) if request.method in ("GET", "HEAD") else None
        return answer(request) if file is None else _send(file, request)

    return choose


def write_csv(prices: PriceList) -> bytes:
    """The list in the form in which an operator writes one (RFC 4180)."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(_to_row(each) for each in prices.prices)
    return text.getvalue().encode()


def write_json(prices: PriceList) -> bytes:
    """The same as one JSON document; prices are texts, because JSON's numbers are not exact."""
    rows = [{name: value or None for name, value in _to_row(each).items()} for each in prices.prices]
    document = {"currency": prices.currency, "unit": "GiB-month", "prices": rows}
    return msgspec.json.format(msgspec.json.encode(document)) + b"\n"


def _to_row(price: Price) -> Mapping[str, str]:
    return {
        "region_id": price.region_id,
        "valid_from": price.valid_from.isoformat(),
        "currency": price.currency,
        "standard_per_gib_month": f"{price.standard:f}",
        "archive_per_gib_month": "" if price.archive is None else f"{price.archive:f}",
        "source": price.source,
        "seen_on": price.seen_on.isoformat(),
    }


def _send(file: _File, request: HttpRequest) -> HttpReply:
    headers = (("etag", file.tag), ("cache-control", _CACHE))
    if _knows(request, file.tag):
        return HttpReply(status=304, headers=headers, body=b"")
    described = (
        *headers,
        ("content-type", file.kind),
        ("content-disposition", f'attachment; filename="{file.name}"'),
    )
    if request.method == "HEAD":
        length = ("content-length", str(len(file.body)))
        return HttpReply(status=200, headers=(*described, length), body=b"")
    return HttpReply(status=200, headers=described, body=file.body)


def _knows(request: HttpRequest, tag: str) -> bool:
    """Whether the client has the file already (RFC 9110, 13.1.2)."""
    given = ",".join(request.headers.get("if-none-match", ()))
    return any(each.strip().removeprefix("W/") in (tag, "*") for each in given.split(",") if each.strip())
