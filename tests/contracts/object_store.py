"""What every object store must show. A subclass gives a fixture `store`: an empty store."""

import os
import threading
from array import array
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import pytest

from lamina.engine.objects.store import (
    KEY_LENGTH_MAX,
    Buffer,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    ObjectStore,
)
from lamina.failures import Fault, Refusal
from lamina.units import KIB, MIB

HOSTILE_KEYS = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    ".tmp/a",
    "a/.b",
    "A",
    "a b",
    "a\\b",
    "a\0b",
    "a\n",
    "ä",
    "a%2fb",
    "~",
    "a" * 256,
    "a/" * 256 + "a",
]
HOSTILE_PREFIXES = ["/", "//", "a//", ".", "..", "../", "a/../", "A", "a\0", "a*", "a/."]
# In the order of their bytes: `-` and `.` come before the slash, digits, `_` and letters behind it.
ORDERED_KEYS = [
    "-",
    "0/0",
    "_",
    "a-b/1",
    "a-b/2",
    "a.b/1",
    "a.c",
    "a/-",
    "a/0",
    "a/b-x",
    "a/b.x",
    "a/b/c-d/e",
    "a/b/c/e",
    "a/b0",
    "a/bc",
    "a0",
    "a_",
    "ab",
    "b/z",
    "z",
]


def keys(rows: Iterable[ObjectInfo]) -> list[str]:
    return [row.key for row in rows]


def fill(store: ObjectStore, names: Iterable[str], data: bytes = b"x") -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.put(name, data), names))


def together(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Call `act(0)` … `act(count - 1)` at the same moment; their results or exceptions."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        barrier.wait()
        try:
            return act(number)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


class ObjectStoreContract:
    race_rounds = 10

    @pytest.mark.parametrize("size", [0, 1, 511, 64 * KIB, MIB + 1])
    def test_what_was_put_is_got(self, store: ObjectStore, size: int) -> None:
        data = os.urandom(size)
        store.put("a/b", data)
        got = store.get("a/b")
        assert type(got) is bytes
        assert got == data

    def test_an_object_of_40_mib_is_stored_whole(self, store: ObjectStore) -> None:
        data = os.urandom(MIB) * 40
        store.put_new("packs/large", data)
        assert store.get("packs/large") == data
        assert store.get_range("packs/large", 39 * MIB - 7, 100) == data[39 * MIB - 7 :][:100]
        assert store.get_tail("packs/large", 1000) == (data[-1000:], 40 * MIB)
        assert list(store.list("packs/")) == [ObjectInfo(key="packs/large", size_bytes=40 * MIB)]

    @pytest.mark.parametrize("method", ["put", "put_new"])
    @pytest.mark.parametrize(
        "buffer",
        [
            b"abcdefgh",
            bytearray(b"abcdefgh"),
            memoryview(b"abcdefgh"),
            memoryview(bytearray(b"__abcdefgh__"))[2:-2],
            memoryview(array("I", (0x64636261, 0x68676665))),
            memoryview(b"abcdefgh").cast("B", (2, 4)),
        ],
        ids=["bytes", "bytearray", "memoryview", "slice", "words", "matrix"],
    )
    def test_every_kind_of_buffer_is_taken(self, store: ObjectStore, method: str, buffer: Buffer) -> None:
        getattr(store, method)("a", buffer)
        assert store.get("a") == b"abcdefgh"

    @pytest.mark.parametrize("method", ["put", "put_new"])
    def test_the_buffer_may_be_reused_at_once(self, store: ObjectStore, method: str) -> None:
        buffer = bytearray(b"a" * MIB)
        getattr(store, method)("a", buffer)
        buffer[:] = b"b" * MIB
        buffer.clear()  # fails while anybody still holds it
        assert store.get("a") == b"a" * MIB

    def test_put_replaces(self, store: ObjectStore) -> None:
        store.put("a", b"old and longer")
        store.put("a", b"new")
        assert store.get("a") == b"new"
        assert list(store.list("")) == [ObjectInfo(key="a", size_bytes=3)]

    def test_put_new_creates(self, store: ObjectStore) -> None:
        store.put_new("a/b/c", b"data")
        assert store.get("a/b/c") == b"data"

    @pytest.mark.parametrize("data", [b"", b"x", b"x" * (MIB + 1)])
    def test_put_new_takes_the_same_bytes_for_its_own(self, store: ObjectStore, data: bytes) -> None:
        store.put_new("a", data)
        store.put_new("a", data)
        assert store.get("a") == data

    @pytest.mark.parametrize(
        ("there", "ours"),
        [
            (b"", b"x"),
            (b"x", b""),
            (b"abc", b"abd"),
            (b"abc", b"abcd"),
            (b"a" * 3 * MIB, b"a" * MIB + b"b" * 2 * MIB),
        ],
        ids=["empty there", "empty ours", "one byte", "longer", "far behind"],
    )
    def test_put_new_leaves_other_bytes_alone(self, store: ObjectStore, there: bytes, ours: bytes) -> None:
        store.put("a", there)
        with pytest.raises(ObjectExistsError) as caught:
            store.put_new("a", ours)
        assert caught.value.key == "a"
        assert isinstance(caught.value, Refusal)
        assert store.get("a") == there

    def test_of_racing_creators_with_other_bytes_exactly_one_succeeds(self, store: ObjectStore) -> None:
        for round_ in range(self.race_rounds):
            results = together(
                6, lambda number, key=f"race/{round_}": store.put_new(key, b"%d" % number * 5000)
            )
            winners = [number for number, result in enumerate(results) if result is None]
            assert len(winners) == 1
            assert all(isinstance(result, ObjectExistsError) for result in results if result is not None)
            assert store.get(f"race/{round_}") == b"%d" % winners[0] * 5000

    def test_racing_creators_with_the_same_bytes_all_succeed(self, store: ObjectStore) -> None:
        for round_ in range(self.race_rounds):
            results = together(6, lambda _, key=f"race/{round_}": store.put_new(key, b"same" * 5000))
            assert results == [None] * 6

    @pytest.mark.parametrize("key", ["missing", "folder", "folder/missing", "folder/object/below"])
    def test_a_missing_object_is_named(self, store: ObjectStore, key: str) -> None:
        store.put("folder/object", b"x")
        for read in (store.get, lambda k: store.get_range(k, 0, 10), lambda k: store.get_tail(k, 10)):
            with pytest.raises(ObjectMissingError) as caught:
                read(key)
            assert caught.value.key == key
            assert not caught.value.retryable
        for read in (lambda k: store.get_range(k, 0, 0), lambda k: store.get_tail(k, 0)):
            with pytest.raises(ObjectMissingError):
                read(key)

    @pytest.mark.parametrize("offset", [0, 1, 9, 10, 11, 10**15])
    @pytest.mark.parametrize("length", [0, 1, 5, 10, 11, 10**12])
    def test_a_range_ends_where_the_object_ends(self, store: ObjectStore, offset: int, length: int) -> None:
        store.put("a", b"0123456789")
        assert store.get_range("a", offset, length) == b"0123456789"[offset : offset + length]

    @pytest.mark.parametrize("length", [0, 1, 5, 10, 11, 10**12])
    def test_a_tail_starts_where_the_object_starts(self, store: ObjectStore, length: int) -> None:
        store.put("a", b"0123456789")
        assert store.get_tail("a", length) == (b"0123456789"[max(0, 10 - length) :], 10)

    def test_an_empty_object_has_empty_ranges(self, store: ObjectStore) -> None:
        store.put("a", b"")
        assert store.get("a") == b""
        assert store.get_range("a", 0, 0) == store.get_range("a", 0, 5) == store.get_range("a", 7, 5) == b""
        assert store.get_tail("a", 0) == store.get_tail("a", 5) == (b"", 0)
        assert list(store.list("")) == [ObjectInfo(key="a", size_bytes=0)]

    def test_negative_ranges_are_bugs_of_the_caller(self, store: ObjectStore) -> None:
        store.put("a", b"0123456789")
        for call in (
            lambda: store.get_range("a", -1, 5),
            lambda: store.get_range("a", 0, -1),
            lambda: store.get_tail("a", -1),
        ):
            with pytest.raises(ValueError, match="not a range"):
                call()

    def test_an_empty_store_lists_nothing(self, store: ObjectStore) -> None:
        assert list(store.list("")) == []
        assert list(store.list("a/b")) == []

    def test_a_listing_is_in_the_order_of_bytes(self, store: ObjectStore) -> None:
        assert sorted(ORDERED_KEYS) == ORDERED_KEYS
        fill(store, reversed(ORDERED_KEYS))
        assert keys(store.list("")) == ORDERED_KEYS

    @pytest.mark.parametrize(
        "prefix",
        [
            "a",
            "a/",
            "a/b",
            "a/b/",
            "a/bc",
            "a/b/c",
            "a-",
            "a.",
            "a_",
            "0",
            "0/0",
            "-",
            "b/z",
            "c",
            "a/c",
            "z/",
            "zz",
        ],
    )
    def test_a_prefix_is_a_plain_string(self, store: ObjectStore, prefix: str) -> None:
        fill(store, ORDERED_KEYS)
        assert keys(store.list(prefix)) == [key for key in ORDERED_KEYS if key.startswith(prefix)]

    def test_a_listing_of_thousands_has_each_object_once(self, store: ObjectStore) -> None:
        names = [f"many/{number % 7}{'-x' * (number % 2)}/{number:04}" for number in range(3000)]
        fill(store, [*names, "many0", "manx/0"])
        assert keys(store.list("many/")) == sorted(names)
        assert keys(store.list("many/3")) == sorted(name for name in names if name.startswith("many/3"))

    def test_a_listing_can_be_left_and_taken_up_beside_others(self, store: ObjectStore) -> None:
        fill(store, ORDERED_KEYS)
        first, second = store.list(""), store.list("a/")
        assert keys(islice(first, 3)) == ORDERED_KEYS[:3]
        assert next(second).key == "a/-"
        assert next(first).key == ORDERED_KEYS[3]

    def test_a_listing_beside_writers_has_all_that_stays(self, store: ObjectStore) -> None:
        fill(store, [f"l/{number:02}/stays" for number in range(30)])
        stop = threading.Event()

        def churn(name: str) -> None:
            while not stop.is_set():
                for number in range(0, 30, 3):
                    store.put(f"l/{number:02}/{name}", b"x")
                for number in range(0, 30, 3):
                    store.delete(f"l/{number:02}/{name}")

        with ThreadPoolExecutor(2) as pool:
            writers = [pool.submit(churn, name) for name in ("r", "t")]
            try:
                for _ in range(10):
                    listed = keys(store.list("l/"))
                    assert listed == sorted(set(listed))
                    assert len([key for key in listed if key.endswith("stays")]) == 30
            finally:
                stop.set()
            for writer in writers:
                writer.result()

    @pytest.mark.parametrize("prefix", HOSTILE_PREFIXES)
    def test_a_prefix_that_no_key_has_is_a_bug_of_the_caller(self, store: ObjectStore, prefix: str) -> None:
        with pytest.raises(ValueError, match="beginning of an object key"):
            store.list(prefix)  # at once, without asking for a row

    def test_a_deleted_object_is_gone(self, store: ObjectStore) -> None:
        fill(store, ["a/b", "a/bc", "a/d/e"])
        store.delete("a/b")
        store.delete("a/d/e")
        assert keys(store.list("")) == ["a/bc"]
        with pytest.raises(ObjectMissingError):
            store.get("a/b")

    @pytest.mark.parametrize("key", ["nothing", "a", "a/nothing", "a/b/c", "no/such/folder"])
    def test_deleting_what_is_not_there_succeeds(self, store: ObjectStore, key: str) -> None:
        store.put("a/b", b"x")
        store.delete(key)
        store.delete(key)
        assert keys(store.list("")) == ["a/b"]

    def test_a_key_can_be_used_again(self, store: ObjectStore) -> None:
        for data in (b"1", b"22", b"333"):
            store.put_new("a/b", data)
            assert store.get("a/b") == data
            store.delete("a/b")
            assert list(store.list("")) == []

    def test_neighbours_come_and_go_without_harm(self, store: ObjectStore) -> None:
        """Each delete may leave the folder empty, just when another thread wants to write into it."""

        def come_and_go(number: int) -> None:
            for turn in range(20):
                data = b"%d %d" % (number, turn)
                (store.put if turn % 2 else store.put_new)(f"deep/er/{number}", data)
                assert store.get(f"deep/er/{number}") == data
                store.delete(f"deep/er/{number}")

        assert together(4, come_and_go) == [None] * 4
        assert list(store.list("")) == []

    def test_a_reader_sees_whole_objects_while_they_are_replaced(self, store: ObjectStore) -> None:
        versions = [bytes([65 + number]) * (200_000 + number * 10_000) for number in range(6)]
        store.put("a", versions[0])
        stop = threading.Event()

        def replace() -> None:
            while not stop.is_set():
                for version in versions:
                    store.put("a", version)

        with ThreadPoolExecutor(2) as pool:
            writer = pool.submit(replace)
            try:
                for _ in range(40):
                    assert store.get("a") in versions
                    tail, size = store.get_tail("a", 10)
                    assert tail in {
                        bytes([65 + number]) * 10 for number in range(6) if len(versions[number]) == size
                    }
            finally:
                stop.set()
            writer.result()

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    def test_a_key_against_the_rules_is_a_bug_of_the_caller(self, store: ObjectStore, key: str) -> None:
        for call in (
            lambda: store.put(key, b"x"),
            lambda: store.put_new(key, b"x"),
            lambda: store.get(key),
            lambda: store.get_range(key, 0, 1),
            lambda: store.get_tail(key, 1),
            lambda: store.delete(key),
        ):
            with pytest.raises(ValueError, match="not an object key"):
                call()

    def test_the_longest_keys_can_be_used(self, store: ObjectStore) -> None:
        names = [
            "a" * 255 + "/" + "b" * 255,
            "a/" * 255 + "a",
            "abcdefghijklmnopqrstuvwxyz-_./0123456789.-_",
        ]
        assert len(names[0]) < KEY_LENGTH_MAX
        assert len(names[1]) < KEY_LENGTH_MAX
        for name in names[:1] + names[2:]:
            store.put_new(name, name.encode())
        assert keys(store.list("")) == [*sorted(names[:1] + names[2:])]
        for name in names[:1] + names[2:]:
            assert store.get(name) == name.encode()
            store.delete(name)
        store.put(names[1], b"deep")
        assert keys(store.list("a/a/")) == [names[1]]

    def test_a_missing_object_is_a_fault(self) -> None:
        assert issubclass(ObjectMissingError, Fault)

    def test_the_description_is_one_line(self, store: ObjectStore) -> None:
        assert store.describe()
        assert "\n" not in store.describe()
