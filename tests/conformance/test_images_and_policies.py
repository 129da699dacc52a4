"""Images of automatic snapshots: the policy goes on, and what an image uses stays (rows B22, E22)."""

import json

from tests.conformance.conftest import wait_until
from tests.conformance.instances import make_instance
from tests.conformance.test_images import (
    SYSTEM,
    create_image,
    delete_image,
    delete_snapshot_refused,
    list_ids,
)
from tests.conformance.test_policies import apply, create
from tests.conformance.test_policy_runs import (
    EVERY_HOUR,
    QUOTA,
    list_runs,
    list_snapshots,
    movable,
    owner,
    wait_for,
)

__all__ = ["movable", "owner"]


def run_policy(movable, owner, disk_id):
    """Let an hour pass; the automatic snapshots, newest first, and what became of the run."""
    before = len(list_runs(owner, disk_id))
    movable.advance(hours=1)
    runs = wait_until(lambda: list_runs(owner, disk_id), lambda runs: len(runs) == before + 1)
    found = wait_for(owner, disk_id, min(QUOTA, before + 1))
    return [each.snapshot_id for each in found], runs[0]["Outcome"]


def test_b22_e22_the_policy_passes_over_what_an_image_uses_and_goes_on(movable, owner):
    disk_id = owner.make_disk(SYSTEM, DiskType="system")
    apply(owner, create(owner, **{**EVERY_HOUR, "retention_days": 1}), disk_id)
    [first], _ = run_policy(movable, owner, disk_id)
    image_id = create_image(owner, snapshot_id=first)
    (second, _), _ = run_policy(movable, owner, disk_id)
    (third, kept), outcome = run_policy(movable, owner, disk_id)  # the quota is reached: one has to go
    assert (kept, outcome) == (first, "started")
    assert second not in (third, kept)
    assert delete_snapshot_refused(owner, first, force=True).code == "SnapshotCreatedImage"
    owner.lamina().call(
        "CancelAutoSnapshotPolicy", {"RegionId": "cn-hangzhou", "diskIds": json.dumps([disk_id])}
    )
    movable.advance(days=2)  # past the retention of both
    [left] = wait_for(owner, disk_id, 1)
    assert (left.snapshot_id, left.usage) == (first, "image")
    assert make_instance(owner, image_id=image_id)
    delete_image(owner, image_id, force=True)
    assert list_ids(owner, snapshot_id=first) == []
    movable.advance(minutes=1)
    wait_for(owner, disk_id, 0)
    assert list_snapshots(owner, disk_id) == []
