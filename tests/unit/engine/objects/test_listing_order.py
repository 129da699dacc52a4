from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.engine.objects.listing_order import in_key_order
from lamina.engine.objects.store import ObjectInfo
from lamina.failures import Fault

NAMES = st.text("a-.0_z/", min_size=1, max_size=8).filter(
    lambda key: all(part and part[0] != "." for part in key.split("/"))
)


def without_folders_that_are_objects(keys: set[str]) -> list[str]:
    return [key for key in keys if not any(other.startswith(key + "/") for other in keys)]


def rows(keys: list[str]) -> list[ObjectInfo]:
    return [ObjectInfo(key=key, size_bytes=len(key)) for key in keys]


@given(st.sets(NAMES, max_size=30), st.sampled_from(["", "a", "a/", "a-", "a/a"]))
def test_both_known_orders_become_that_of_bytes(names: set[str], prefix: str) -> None:
    keys = without_folders_that_are_objects({name for name in names if name.startswith(prefix)})
    sorted_by_server = sorted(keys)
    walked_by_server = sorted(keys, key=lambda key: key.split("/"))
    for order in (sorted_by_server, walked_by_server):
        assert list(in_key_order(iter(rows(order)), prefix)) == rows(sorted_by_server)


@given(st.lists(NAMES, max_size=12, unique=True))
def test_any_other_order_is_mended_or_refused_but_never_passed_on(keys: list[str]) -> None:
    passed_on = []
    with suppress(Fault):
        passed_on.extend(in_key_order(iter(rows(keys)), ""))
        assert len(passed_on) == len(keys)
    assert passed_on == sorted(passed_on, key=lambda row: row.key)


@pytest.mark.parametrize("keys", [["b", "c", "a"], ["b/1", "c", "d", "b/2"], ["a", "a", "b"]])
def test_a_late_row_is_refused(keys: list[str]) -> None:
    with pytest.raises(Fault, match="the server lists") as caught:
        list(in_key_order(iter(rows(keys)), ""))
    assert not caught.value.retryable


def test_rows_wait_only_for_their_own_folder() -> None:
    names = [f"{folder:03}/{number}" for folder in range(100) for number in range(10)]
    taken = 0

    def count():
        nonlocal taken
        for row in rows(names):
            taken += 1
            yield row

    for passed, _ in enumerate(in_key_order(count(), ""), start=1):
        assert taken - passed <= 11
