"""A snapshot group is one instant: a writer that alternates between two disks is cut at one place (rows B02, B41)."""

import itertools
import struct
import threading
import time

from lamina.control.paging import Slice
from lamina.control.snapshots.groups.create import NewGroup, create_group
from lamina.control.snapshots.groups.queries import GroupFilter, list_groups
from lamina.control.snapshots.states import GroupState
from lamina.units import KIB, MIB
from tests import needs
from tests.factories.installation import open_site
from tests.real.blockio.restless import mounted

pytestmark = needs.ROOT

RECORD = 4 * KIB
ROUNDS = 6


class AlternatingWriter:
    """Writes the numbers 1, 2, 3, … to two disks in turn, each when the one before is written."""

    def __init__(self, channels):
        self.written = 0
        self._channels = channels
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        for number in itertools.count(1):
            if self._stop.is_set():
                return
            channel = self._channels[number % 2]
            channel.write(number // 2 * RECORD, struct.pack("<Q", number) * (RECORD // 8))
            self.written = number

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


def list_numbers(data):
    found = set()
    for start in range(0, len(data), RECORD):
        record = data[start : start + RECORD]
        assert record == record[:8] * (RECORD // 8), f"torn record at {start}"
        found.add(struct.unpack_from("<Q", record)[0])
    return found - {0}


def wait_for(writer, number):
    deadline = time.monotonic() + 30
    while writer.written < number:
        assert time.monotonic() < deadline, "the writer never ran"
        time.sleep(0.001)


def test_every_cut_is_one_prefix_over_both_disks():
    with mounted("xfs", 600) as place, open_site(place) as site:
        disks = (site.make_imported(), site.make_imported())
        groups = []
        with (
            site.connected(disks[0]) as first,
            site.connected(disks[1]) as second,
            AlternatingWriter((first, second)) as writer,
        ):
            for _ in range(ROUNDS):
                wait_for(writer, writer.written + 50)
                with site.scope() as scope:
                    groups.append(create_group(scope, NewGroup(disk_ids=disks)).id)
                before = writer.written
                site.work()
                assert writer.written > before, "the writer was kept waiting until the end of the copy"
        with site.scope() as scope:
            views = list_groups(scope, GroupFilter(), Slice(limit=100)).items
            members = {
                view.group.id: {each.snapshot.disk_id: each.snapshot.id for each in view.members}
                for view in views
            }
        assert {view.group.state for view in views} == {GroupState.ACCOMPLISHED}
        cuts = []
        for group_id in groups:
            found = set()
            for disk_id in disks:
                site.roll_back(disk_id, members[group_id][disk_id])
                found |= list_numbers(site.read(disk_id, 0, 16 * MIB))
            assert found == set(range(1, len(found) + 1)), f"no prefix: {sorted(found)[-5:]} of {len(found)}"
            cuts.append(len(found))
        assert cuts == sorted(cuts)
        assert cuts[-1] > cuts[0] > 0
