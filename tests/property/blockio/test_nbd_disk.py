"""A random client against a bytearray: what the protocol stores over a raw file is what a disk would hold."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lamina.blockio.file_export import RawFileExport
from tests.unit.blockio.nbd.wire import (
    BLOCK_STATUS,
    CACHE,
    DF,
    FLUSH,
    FUA,
    NO_HOLE,
    READ,
    REQ_ONE,
    TRIM,
    WRITE,
    WRITE_ZEROES,
    Session,
    assemble,
    parse_status,
)

SIZE = 200_000  # no multiple of anything
ranges = st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(
    lambda pair: (min(pair), max(pair) - min(pair))
)
places = st.one_of(ranges, st.tuples(st.integers(0, SIZE - 5000), st.integers(1, 5000)))


class Disk(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "disk"
        with self.path.open("wb") as file:
            file.truncate(SIZE)
        self.model = bytearray(SIZE)
        self.open()

    def open(self):
        self.export = RawFileExport(self.path)
        self.session = Session(self.export)

    def teardown(self):
        self.export.close()
        assert self.path.read_bytes() == bytes(self.model)
        shutil.rmtree(self.folder)

    @rule(place=places, fill=st.integers(0, 255), flags=st.sampled_from([0, FUA]))
    def write(self, place, fill, flags):
        offset, length = place
        assert self.session.ask(WRITE, offset, data=bytes([fill]) * length, flags=flags).error == 0
        self.model[offset : offset + length] = bytes([fill]) * length

    @rule(
        place=places, flags=st.sampled_from([0, NO_HOLE, FUA]), command=st.sampled_from([TRIM, WRITE_ZEROES])
    )
    def clear(self, place, flags, command):
        offset, length = place
        flags = flags & FUA if command == TRIM else flags
        assert self.session.ask(command, offset, length, flags=flags).error == 0
        self.model[offset : offset + length] = bytes(length)  # a raw file's trim reads as zero

    @rule(place=places, flags=st.sampled_from([0, DF]))
    def read(self, place, flags):
        offset, length = place
        reply = self.session.ask(READ, offset, length, flags=flags)
        if length:
            assert assemble(reply, offset, length) == self.model[offset : offset + length]

    @rule(place=places.filter(lambda place: place[1] > 0), flags=st.sampled_from([0, REQ_ONE]))
    def status(self, place, flags):
        offset, length = place
        runs = parse_status(self.session.ask(BLOCK_STATUS, offset, length, flags=flags))[1]
        assert flags == 0 or len(runs) == 1
        assert flags == REQ_ONE or sum(size for size, _ in runs) == length
        for size, state in runs:
            if state & 2:
                assert not any(self.model[offset : offset + size])
            offset += size

    @rule()
    def flush_and_reopen(self):
        assert self.session.ask(FLUSH).error == 0
        self.export.close()
        self.open()

    @rule(place=places)
    def prefetch(self, place):
        assert self.session.ask(CACHE, *place).error == 0

    @invariant()
    def size_never_changes(self):
        assert self.path.stat().st_size == SIZE


Disk.TestCase.settings = settings(stateful_step_count=25)
TestDisk = Disk.TestCase
