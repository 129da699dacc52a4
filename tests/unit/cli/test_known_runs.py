"""What `lamina disk connect` remembers of a disk's runs between two requests."""

from hypothesis import given
from hypothesis import strategies as st

from lamina.blockio.nbd.export import StatusRun
from lamina.cli.disk.attach import RemoteDisk


class FakeConnection:
    """A disk of eight bytes that counts how often its extents are asked for."""

    def __init__(self, kinds: str) -> None:
        self.kinds = kinds
        self.size_bytes = len(kinds)
        self.asked = 0

    def list_extents(self, offset, length):
        self.asked += 1
        return [(1, {"d": "data", "h": "hole"}[kind]) for kind in self.kinds[offset : offset + length]]

    def write(self, offset, data):
        self.kinds = self.kinds[:offset] + "d" * len(data) + self.kinds[offset + len(data) :]


def flags(runs):
    return [run.flags for run in runs for _ in range(run.length)]


@given(st.text("dh", min_size=1, max_size=40), st.data())
def test_every_answer_is_right_and_neighbours_cost_one_call(kinds, data):
    connection = FakeConnection(kinds)
    disk = RemoteDisk("d-x", connection)
    expected = [{"d": 0, "h": 3}[kind] for kind in kinds]
    assert flags(disk.block_status("base:allocation", 0, len(kinds))) == expected
    offset = data.draw(st.integers(0, len(kinds) - 1))
    length = data.draw(st.integers(1, len(kinds) - offset))
    assert flags(disk.block_status("base:allocation", offset, length)) == expected[offset : offset + length]
    assert connection.asked == 1


def test_a_write_makes_it_ask_again():
    connection = FakeConnection("hhhh")
    disk = RemoteDisk("d-x", connection)
    list(disk.block_status("base:allocation", 0, 4))
    disk.write(1, memoryview(b"x"))
    assert flags(disk.block_status("base:allocation", 0, 4)) == [3, 0, 3, 3]


def test_an_answer_from_before_a_write_is_not_kept():
    connection = FakeConnection("hh")
    disk = RemoteDisk("d-x", connection)
    ask = connection.list_extents

    def ask_slowly(offset, length):
        found = ask(offset, length)
        disk.write(0, memoryview(b"x"))  # lands while the answer is on its way
        connection.list_extents = ask
        return found

    connection.list_extents = ask_slowly
    list(disk.block_status("base:allocation", 0, 2))
    assert list(disk.block_status("base:allocation", 0, 1)) == [StatusRun(1, 0)]
