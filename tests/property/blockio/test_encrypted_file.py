"""An encrypted disk behaves like a row of bytes, and its file tells nothing about them."""

import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.blockio.encrypted_file import KEY_BYTES, UNIT_BYTES, EncryptedSource, EncryptedTarget, UnitCipher
from lamina.blockio.extents import ExtentKind
from lamina.blockio.raw_file import RawFileSource, RawFileTarget
from lamina.units import MIB

SIZE = 16 * UNIT_BYTES
CIPHER = UnitCipher(bytes(range(KEY_BYTES)))
RANGES = st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(lambda ends: (min(ends), max(ends)))
STEPS = st.lists(
    st.tuples(st.sampled_from(["write", "punch", "zero", "read"]), RANGES, st.integers(1, 255)), max_size=30
)


def create(path, size_bytes=SIZE):
    return EncryptedTarget(RawFileTarget.create(path, size_bytes, replace=True), CIPHER)


def read_all(path):
    with EncryptedSource(RawFileSource(path), CIPHER) as source:
        content = bytearray(source.size_bytes)
        source.read_into(0, [content])
        return bytes(content)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_it_behaves_like_a_row_of_bytes(tmp_path_factory, steps):
    path = tmp_path_factory.getbasetemp() / "encrypted.raw"
    model = bytearray(SIZE)
    with create(path) as disk:
        for action, (start, end), byte in steps:
            if action == "write":
                content = bytes([byte]) * (end - start)
                half = len(content) // 2
                disk.write(start, [content[:half], content[half:]])
                model[start:end] = content
            elif action == "read":
                buffers = [bytearray((end - start) // 2), bytearray(end - start - (end - start) // 2)]
                disk.read_into(start, buffers)
                assert b"".join(buffers) == model[start:end]
            else:
                getattr(disk, action)(start, end - start)
                model[start:end] = bytes(end - start)
    assert read_all(path) == model


def test_holes_stay_holes_and_cost_nothing(tmp_path):
    with create(tmp_path / "disk", 1024 * MIB) as disk:
        disk.write(100 * MIB, [b"x" * MIB])
        disk.write(500 * MIB, [b"y" * MIB])
        disk.punch(500 * MIB, MIB)
        data = [each for each in disk.list_extents(0, 1024 * MIB) if each.kind is ExtentKind.DATA]
        assert [(each.offset, each.length) for each in data] == [(100 * MIB, MIB)]
        buffer = bytearray(MIB)
        disk.read_into(700 * MIB, [buffer])
        assert not any(buffer)
    assert (tmp_path / "disk").stat().st_blocks * 512 < 2 * MIB


def test_the_file_tells_nothing(tmp_path):
    secret = b"the quick brown fox " * 1000
    with create(tmp_path / "disk") as disk:
        disk.write(10, [secret])
        disk.write(40_000, [bytes(8192)])  # zeros that were written look like everything else
    stored = (tmp_path / "disk").read_bytes()
    assert b"quick" not in stored
    units = [stored[at : at + UNIT_BYTES] for at in range(0, SIZE, UNIT_BYTES)]
    assert len({unit for unit in units if any(unit)}) == sum(any(unit) for unit in units)
    with EncryptedSource(RawFileSource(tmp_path / "disk"), UnitCipher(os.urandom(KEY_BYTES))) as other:
        content = bytearray(len(secret))
        other.read_into(10, [content])
    assert b"quick" not in content


def test_the_layout_is_that_of_the_standard(tmp_path):
    """IEEE 1619-2007, XTS-AES-256 Vector 10: its 512 bytes are the beginning of a unit of ours."""
    key = bytes.fromhex(
        "2718281828459045235360287471352662497757247093699959574966967627"
        "3141592653589793238462643383279502884197169399375105820974944592"
    )
    plain = (bytes(range(256)) * 2).ljust(UNIT_BYTES, b"\0")
    expected = (
        "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b5d31e276f8fe4a8d66b317f9ac683f44"
    )
    with EncryptedTarget(RawFileTarget.create(tmp_path / "disk", 1 * MIB), UnitCipher(key)) as disk:
        disk.write(0xFF * UNIT_BYTES, [plain])
    stored = (tmp_path / "disk").read_bytes()[0xFF * UNIT_BYTES :]
    assert stored[: len(expected) // 2].hex() == expected


@pytest.mark.parametrize("shares_descriptor", [True, False])
def test_writers_of_one_unit_do_not_undo_each_other(tmp_path, shares_descriptor):
    path = tmp_path / "disk"
    create(path).close()
    shared = EncryptedTarget(RawFileTarget.open(path), CIPHER)
    barrier = threading.Barrier(8)

    def write(number: int) -> None:
        disk = shared if shares_descriptor else EncryptedTarget(RawFileTarget.open(path), CIPHER)
        barrier.wait()
        for turn in range(100):
            disk.write(number * 512, [bytes([turn + 1]) * 512])
        if not shares_descriptor:
            disk.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shared.close()
    assert read_all(path)[:UNIT_BYTES] == bytes([100]) * UNIT_BYTES
