"""The kinds of tasks that groups, copies and archives of snapshots bring."""

from dataclasses import replace

from lamina.blockio.file_volume import list_frozen
from lamina.control.paging import Slice
from lamina.control.snapshots.archive import ARCHIVE_SNAPSHOT, MIN_AGE, archive_snapshot
from lamina.control.snapshots.copy import NewCopy, copy_snapshot
from lamina.control.snapshots.copying import COPY_SNAPSHOT
from lamina.control.snapshots.groups.capture import CAPTURE_GROUP
from lamina.control.snapshots.groups.create import NewGroup, create_group
from lamina.control.snapshots.groups.queries import GroupFilter, list_groups
from lamina.control.snapshots.states import GroupState, SnapshotCategory, SnapshotState
from lamina.ids import RegionId
from lamina.transfer.snapshot_source import SnapshotSource
from lamina.units import KIB
from tests.factories.installation import Site
from tests.factories.regions import FAR, add_region
from tests.faults.tasks.scenario import Scenario

CONTENT = bytes(range(1, 129)) * KIB  # two blocks
CHANGED = b"changed!" * 16 * KIB


def _prepare_group(site: Site):
    disks = (site.make_imported(CONTENT), site.make_imported(CHANGED))
    with site.scope() as scope:
        return disks, create_group(scope, NewGroup(disk_ids=disks)).id


def _find_group(site: Site, group_id):
    with site.scope() as scope:
        [view] = list_groups(scope, GroupFilter(group_ids=[group_id]), Slice(limit=1)).items
        return view.group, [member.snapshot for member in view.members]


def _group_is_made(site: Site, made) -> None:
    disks, group_id = made
    group, members = _find_group(site, group_id)
    assert group.state is GroupState.ACCOMPLISHED
    assert {each.id for each in members} == set(site.list_stored())
    contents = dict(zip(disks, (CONTENT, CHANGED), strict=True))
    for each in members:
        site.write(each.disk_id, 0, bytes(len(contents[each.disk_id])))
        site.roll_back(each.disk_id, each.id)
        assert site.read(each.disk_id, 0, len(contents[each.disk_id])) == contents[each.disk_id]


def _group_is_undone(site: Site, made) -> None:
    disks, group_id = made
    group, members = _find_group(site, group_id)
    assert (group.state, bool(group.failure)) == (GroupState.FAILED, True)
    assert {each.state for each in members} == {SnapshotState.FAILED}
    assert site.list_stored() == []
    assert [list_frozen(site.installation.volumes.frozen_folder(disk_id)) for disk_id in disks] == [(), ()]


def _prepare_copy(site: Site):
    snapshot_id = site.make_snapshot(site.make_imported(CONTENT))
    add_region(site)
    with site.scope() as scope:
        allowed = replace(scope, limits=replace(scope.limits, may_copy_snapshots=True))
        return copy_snapshot(allowed, NewCopy(snapshot_id=snapshot_id, region_id=FAR)).id


def _list_far(site: Site):
    repository = site.installation.repositories.find(site.account_id, RegionId("eu-far-1"))
    return [] if repository is None else repository.list_snapshots()


def _copy_is_made(site: Site, copy_id) -> None:
    copy = site.snapshot(copy_id)
    assert (copy.state, copy.used_bytes) == (SnapshotState.ACCOMPLISHED, len(CONTENT))
    assert _list_far(site) == [copy_id]
    repository = site.installation.repositories.find(site.account_id, copy.region_id)
    with SnapshotSource(repository, copy_id) as source:
        buffer = bytearray(len(CONTENT))
        source.read_into(0, [buffer])
    assert buffer == CONTENT


def _copy_is_undone(site: Site, copy_id) -> None:
    assert site.snapshot(copy_id).state is SnapshotState.FAILED
    assert _list_far(site) == []


def _prepare_archiving(site: Site):
    snapshot_id = site.make_snapshot(site.make_imported(CONTENT))
    site.clock.advance(MIN_AGE)
    with site.scope() as scope:
        archive_snapshot(scope, snapshot_id, None)
    return snapshot_id


def _is_archived(site: Site, snapshot_id) -> None:
    assert site.snapshot(snapshot_id).category is SnapshotCategory.ARCHIVE
    assert site.list_stored() == [snapshot_id]


def _is_standard_again(site: Site, snapshot_id) -> None:
    assert site.snapshot(snapshot_id).category is SnapshotCategory.STANDARD
    assert site.list_stored() == [snapshot_id]


SCENARIOS = [
    Scenario(CAPTURE_GROUP, _prepare_group, _group_is_made, _group_is_undone),
    Scenario(COPY_SNAPSHOT, _prepare_copy, _copy_is_made, _copy_is_undone),
    Scenario(ARCHIVE_SNAPSHOT, _prepare_archiving, _is_archived, _is_standard_again),
]
