"""What deleting a snapshot frees (row E06)."""

import json
import os

from alibabacloud_ecs20140526 import models as m

from tests.conformance.conftest import REGION, wait_until
from tests.conformance.test_snapshot_service import delete, find_link, sizes_of

BLOCK = 64 << 10


def test_e06_deleting_frees_the_blocks_that_no_other_snapshot_has(account):
    disk_id = account.make_disk(os.urandom(10 * BLOCK))
    first = account.make_snapshot(disk_id)
    account.write(disk_id, os.urandom(4 * BLOCK))
    second = account.make_snapshot(disk_id)
    account.write(disk_id, os.urandom(BLOCK))
    third = account.make_snapshot(disk_id)
    content = account.read(disk_id, 10 * BLOCK)
    told = {
        each: round(size["ExclusiveBytes"] / BLOCK)
        for each, size in sizes_of(account, first, second, third).items()
    }
    # four blocks of the first were overwritten for the second, and one of these once more for the third
    assert told == {first: 4, second: 1, third: 1}
    assert wait_total(account, disk_id, 15 * BLOCK)
    delete(account, second)
    assert wait_total(account, disk_id, 14 * BLOCK), "as much as was told, and not the four that it added"
    assert find_link(account, disk_id).total_count == 2
    request = m.ResetDiskRequest(disk_id=disk_id, snapshot_id=third)
    account.write(disk_id, bytes(BLOCK))
    account.new_sdk().reset_disk(request)
    account.wait_disk(disk_id)
    assert account.read(disk_id, 10 * BLOCK) == content
    delete(account, third)
    delete(account, first)
    gone = wait_until(
        lambda: account.lamina().call(
            "DescribeSnapshotLinks", {"RegionId": REGION, "DiskIds": json.dumps([disk_id])}
        )["TotalCount"],
        lambda count: count == 0,
    )
    assert gone == 0
    usage = account.new_sdk().describe_snapshots_usage(m.DescribeSnapshotsUsageRequest(region_id=REGION)).body
    assert (usage.snapshot_count, usage.snapshot_size) == (0, 0)


def wait_total(account, disk_id, size):
    return wait_until(lambda: find_link(account, disk_id), lambda link: link.total_size == size)
