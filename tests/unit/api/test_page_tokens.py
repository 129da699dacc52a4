"""Tokens of pages: each has one spelling, and whatever is not exactly what was given out is refused."""

from dataclasses import dataclass

import pytest

from lamina.api.codes import ApiError
from lamina.api.paging import Pager

PAGER = Pager(key=bytes(32), account_id="1", action="DescribeDisks")


@dataclass(frozen=True)
class Request:
    """A list with one filter."""

    status: str = "Available"


def write_one_with_both_signs():
    """A token with `-` and `_`, in other alphabets of base64 `+` and `/`, and with spare bits at its end."""
    tokens = (PAGER.seal(b"disk %d" % number, Request()) for number in range(1000))
    return next(token for token in tokens if {"-", "_"} <= set(token) and len(token) % 4)


def test_a_token_is_read_back():
    token = write_one_with_both_signs()
    assert PAGER.unseal(token, Request()).startswith(b"disk ")


@pytest.mark.parametrize(
    "respell",
    [
        lambda token: token.replace("-", "+"),
        lambda token: token.replace("_", "/"),
        lambda token: token[:-1] + chr(ord(token[-1]) + 1),  # bits behind the last byte
        lambda token: token + "=",
        lambda token: token + "==",
        lambda token: token[:4] + "\n" + token[4:],
        lambda token: token + "é",
    ],
)
def test_another_spelling_of_the_same_bytes_is_refused(respell):
    token = write_one_with_both_signs()
    assert respell(token) != token
    with pytest.raises(ApiError, match="NextToken"):
        PAGER.unseal(respell(token), Request())


def test_a_token_of_another_list_is_refused():
    token = PAGER.seal(b"disk", Request())
    with pytest.raises(ApiError, match="NextToken"):
        PAGER.unseal(token, Request(status="In_use"))
