"""Instances: the table of states (d.4), what each state allows, their making and their end (E11, E18)."""

from datetime import timedelta

import pytest
from sqlalchemy import delete

from lamina.control.accounts.standing import set_standing
from lamina.control.accounts.states import AccountStanding
from lamina.control.disks.attach import Attachment, attach_disk
from lamina.control.disks.categories import DiskCategory, PerformanceLevel
from lamina.control.disks.connect import connect, disconnect
from lamina.control.disks.delete import delete_disk
from lamina.control.disks.detach import detach_disk
from lamina.control.disks.errors import (
    ConnectionNotFoundError,
    DeviceTakenError,
    DiskConnectedError,
    DiskLimitError,
    DiskNeverUsedError,
    DiskSizeError,
    DiskStateError,
)
from lamina.control.disks.modify import DiskChanges, modify_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.reset import reset_disk
from lamina.control.disks.resize import resize_disk
from lamina.control.disks.respec import respec_disk
from lamina.control.disks.roll_back import ROLL_BACK_DISK
from lamina.control.disks.start import restart_disks
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.images.queries import BUILT_IN_ID
from lamina.control.instances.errors import (
    DeletionProtectionError,
    InstanceArrearsError,
    InstanceNotFoundError,
    InstancePendingError,
    InstanceSecurityLockError,
    InstanceStateError,
    InstanceTypeError,
    SystemDiskMissingError,
)
from lamina.control.instances.locks import set_security_lock
from lamina.control.instances.states import TRANSITIONS, InstanceState
from lamina.control.kinds import KINDS
from lamina.control.provisioning.reinit import reinit_disk
from lamina.control.provisioning.release import delete_instance
from lamina.control.provisioning.restart import restart_instances
from lamina.control.provisioning.start import start_instance
from lamina.control.provisioning.stop import stop_instance
from lamina.control.snapshots.create import NewSnapshot, create_snapshot
from lamina.control.snapshots.states import SnapshotKind, SnapshotState
from lamina.failures import Corruption, Refusal
from lamina.tasks.records import TaskRecord
from lamina.tasks.runner import Runner
from lamina.tasks.task import COPY, QUICK
from lamina.units import GIB
from tests.factories.instances import (
    attach,
    data_disk,
    detach,
    find_disk,
    find_instance,
    list_disks_of,
    make_free_disk,
    make_instance,
    order_instance,
    put_into,
    release,
    start,
    stop,
)
from tests.factories.tasks import change_step, then_raise

RUNNING, STOPPED = InstanceState.RUNNING, InstanceState.STOPPED
SETTLED = {RUNNING, STOPPED}


def test_an_instance_is_pending_until_all_its_disks_are_made(site):
    snapshot_id = site.make_snapshot(site.make_imported(b"precious"))
    from_snapshot = data_disk(size_gib=None, snapshot_id=snapshot_id, delete_with_instance=False)
    instance_id = order_instance(site, data_disk(), from_snapshot, name="web", tags={"a": "b"})
    assert find_instance(site, instance_id).state is InstanceState.PENDING
    assert {disk.state for disk in list_disks_of(site, instance_id)} == {DiskState.CREATING}
    site.work()
    instance = find_instance(site, instance_id)
    assert (instance.state, instance.started_at) == (STOPPED, None)
    system, empty, copy = list_disks_of(site, instance_id)
    assert (system.role, system.device, system.size_gib) == (DiskRole.SYSTEM, "/dev/xvda", 20)
    assert (system.delete_with_instance, system.image_id) == (True, BUILT_IN_ID)
    assert [(disk.role, disk.device) for disk in (empty, copy)] == [
        (DiskRole.DATA, "/dev/xvdb"),
        (DiskRole.DATA, "/dev/xvdc"),
    ]
    assert {disk.state for disk in (system, empty, copy)} == {DiskState.IN_USE}
    assert site.read(copy.id, 0, 8) == b"precious"
    path = site.installation.volumes.raw_path(system.id)
    assert (path.stat().st_size, path.stat().st_blocks) == (20 * GIB, 0)


def test_what_keeps_an_instance_from_being_made(site):
    for options, error in (
        ({"instance_type": "ecs.x9.huge"}, InstanceTypeError),
        ({"data_disks": [data_disk()] * 17}, DiskLimitError),
        ({"data_disks": [data_disk(device="/dev/xvdk")] * 2}, DeviceTakenError),
        ({"data_disks": [data_disk(category=DiskCategory.CLOUD)]}, DiskSizeError),
    ):
        with pytest.raises(error):
            order_instance(site, **options)
    assert site.work() == 0


def test_nothing_is_left_of_an_instance_whose_disks_cannot_be_made(site):
    snapshot_id = site.make_snapshot(site.make_imported(b"x"))
    instance_id = order_instance(site, data_disk(snapshot_id=snapshot_id), tags={"a": "b"})
    disks = list_disks_of(site, instance_id)
    repository = site.installation.repositories.find(site.account_id, disks[0].region_id)
    repository.delete_snapshot(snapshot_id)
    site.work()
    assert find_instance(site, instance_id) is None
    for disk in disks:
        assert find_disk(site, disk.id) is None
        assert not site.installation.volumes.raw_path(disk.id).parent.exists()


def verbs_of(instance_id, disk_id, free_id, snapshot_id):
    """What can be done with an instance and its disks, and the states in which it can."""
    return {
        "start": (lambda scope: start_instance(scope, instance_id), {STOPPED}),
        "stop": (lambda scope: stop_instance(scope, instance_id), {RUNNING}),
        "release": (lambda scope: delete_instance(scope, instance_id), {STOPPED}),
        "release by force": (
            lambda scope: delete_instance(scope, instance_id, force=True),
            {*SETTLED, InstanceState.STARTING, InstanceState.STOPPING},
        ),
        "attach": (
            lambda scope: attach_disk(scope, Attachment(disk_id=free_id, instance_id=instance_id)),
            SETTLED,
        ),
        "detach": (lambda scope: detach_disk(scope, disk_id, instance_id), SETTLED),
        "resize": (lambda scope: resize_disk(scope, disk_id, 2), SETTLED),
        "resize online": (lambda scope: resize_disk(scope, disk_id, 2, is_online=True), {RUNNING}),
        "respec": (
            lambda scope: respec_disk(scope, disk_id, DiskCategory.CLOUD_ESSD, PerformanceLevel.PL0),
            SETTLED,
        ),
        "snapshot": (lambda scope: create_snapshot(scope, NewSnapshot(disk_id=disk_id)), SETTLED),
        "roll back": (lambda scope: reset_disk(scope, disk_id, snapshot_id), {STOPPED}),
        "reinit": (lambda scope: reinit_disk(scope, disk_id), {STOPPED}),
        "connect": (lambda scope: connect(scope, disk_id), {STOPPED}),
    }


def is_allowed(site, verb) -> bool:
    """Whether a verb is not refused; what it did is taken back, so that the next one finds the same rows."""
    try:
        with site.scope() as scope:
            verb(scope)
            scope.session.rollback()
    except Refusal:
        return False
    return True


def test_every_state_allows_what_the_contract_says_and_nothing_else(site):
    instance_id = make_instance(site, data_disk(), is_running=True)
    disk_id = list_disks_of(site, instance_id)[1].id
    verbs = verbs_of(instance_id, disk_id, make_free_disk(site), site.make_snapshot(disk_id))
    for state in InstanceState:
        put_into(site, instance_id, state)
        allowed = {name for name, (verb, _) in verbs.items() if is_allowed(site, verb)}
        assert allowed == {name for name, (_, states) in verbs.items() if state in states}, state


def test_locks_stop_what_the_appendix_says(site):
    instance_id = make_instance(site, data_disk(), is_running=True)
    stop(site, instance_id)
    disk_id = list_disks_of(site, instance_id)[1].id
    verbs = verbs_of(instance_id, disk_id, make_free_disk(site), site.make_snapshot(disk_id))
    before = {name for name, (verb, _) in verbs.items() if is_allowed(site, verb)}

    def allowed():
        return {name for name, (verb, _) in verbs.items() if is_allowed(site, verb)}

    with site.scope() as scope:
        set_security_lock(scope.session, instance_id, is_locked=True)
    assert allowed() == {"release", "release by force"}
    with pytest.raises(InstanceSecurityLockError), site.scope() as scope:
        start_instance(scope, instance_id)
    with site.scope() as scope:
        set_security_lock(scope.session, instance_id, is_locked=False)
        set_standing(scope.session, site.account_id, AccountStanding.SUSPENDED)
    assert allowed() == {"release", "release by force", "detach", "snapshot"}
    with pytest.raises(InstanceArrearsError), site.scope() as scope:
        start_instance(scope, instance_id)
    with site.scope() as scope:
        set_standing(scope.session, site.account_id, AccountStanding.NORMAL)
    assert allowed() == before


def test_starting_and_stopping(site):
    instance_id = make_instance(site)
    with site.scope() as scope:
        start_instance(scope, instance_id)
    assert find_instance(site, instance_id).state is InstanceState.STARTING
    site.work()
    instance = find_instance(site, instance_id)
    assert (instance.state, instance.started_at) == (RUNNING, site.clock.now())
    assert all(disk.was_attached for disk in list_disks_of(site, instance_id))
    with site.scope() as scope:
        stop_instance(scope, instance_id)
    assert find_instance(site, instance_id).state is InstanceState.STOPPING
    site.work()
    assert find_instance(site, instance_id).state is STOPPED


def test_an_instance_without_the_file_of_a_disk_does_not_start(site):
    instance_id = make_instance(site)
    [system] = list_disks_of(site, instance_id)
    site.installation.volumes.raw_path(system.id).unlink()
    start(site, instance_id)
    assert find_instance(site, instance_id).state is STOPPED


def test_a_running_instance_has_its_disks_for_itself(site):
    instance_id = make_instance(site, data_disk())
    disk_id = list_disks_of(site, instance_id)[1].id
    with site.connected(disk_id) as channel:
        channel.write(0, b"before")
        with pytest.raises(DiskConnectedError), site.scope() as scope:
            start_instance(scope, instance_id)
    start(site, instance_id)
    with pytest.raises(InstanceStateError), site.scope() as scope:
        connect(scope, disk_id)
    with pytest.raises(ConnectionNotFoundError):
        channel.write(0, b"behind")  # of a connection that ended before the start
    assert site.read(disk_id, 0, 6) == b"before"
    stop(site, instance_id)
    with site.connected(disk_id) as channel:
        assert channel.read(0, 6) == b"before"


def test_a_disk_of_an_instance_that_never_ran_has_nothing_to_snapshot(site):
    instance_id = make_instance(site)
    [system] = list_disks_of(site, instance_id)
    with pytest.raises(DiskNeverUsedError):
        site.start_snapshot(system.id)
    start(site, instance_id)
    snapshot_id = site.make_snapshot(system.id)
    assert site.snapshot(snapshot_id).disk_role is DiskRole.SYSTEM


def test_releasing_takes_some_disks_and_lets_others_go(site):
    instance_id = make_instance(site, data_disk(), data_disk(delete_with_instance=False), is_running=True)
    system, doomed, kept = (disk.id for disk in list_disks_of(site, instance_id))
    manual = site.make_snapshot(doomed)
    automatic = site.make_snapshot(doomed, kind=SnapshotKind.AUTO)
    of_kept = site.make_snapshot(kept, kind=SnapshotKind.AUTO)
    of_system = site.make_snapshot(system, kind=SnapshotKind.AUTO)
    with site.installation.database.transaction() as session:
        session.get(DiskRecord, system).delete_auto_snapshot = False
    with pytest.raises(InstanceStateError), site.scope() as scope:
        delete_instance(scope, instance_id)
    with site.scope() as scope:
        delete_instance(scope, instance_id, force=True)
        with pytest.raises(InstanceNotFoundError):
            start_instance(scope, instance_id)
    site.work()
    assert find_instance(site, instance_id) is None
    assert find_disk(site, system) is None
    assert find_disk(site, doomed) is None
    assert not site.installation.volumes.raw_path(doomed).parent.exists()
    disk = site.disk(kept)
    assert (disk.state, disk.instance_id, disk.device, disk.role) == (
        DiskState.AVAILABLE,
        None,
        None,
        DiskRole.DATA,
    )
    assert site.snapshot(automatic) is None
    for snapshot_id in (manual, of_kept, of_system):
        assert site.snapshot(snapshot_id).state is SnapshotState.ACCOMPLISHED


def test_a_snapshot_in_creation_goes_with_its_disk(site):
    instance_id = make_instance(site, is_running=True)
    [system] = list_disks_of(site, instance_id)
    snapshot_id = site.start_snapshot(system.id)
    with site.scope() as scope:
        delete_instance(scope, instance_id, force=True)
    plant = site.installation
    Runner(plant.database, site.clock, plant, KINDS, {QUICK: 1}).run_until_idle()  # before the capture
    assert find_disk(site, system.id).state is DiskState.DELETING
    site.work()  # the capture undoes itself, and only then the bytes may go
    assert site.snapshot(snapshot_id) is None
    restart_disks(plant)
    site.work()
    assert find_disk(site, system.id) is None
    assert site.list_stored() == []


def test_an_instance_can_be_released_by_force_while_it_starts(site):
    instance_id = make_instance(site)
    [system] = list_disks_of(site, instance_id)
    with site.scope() as scope:
        start_instance(scope, instance_id)
    release(site, instance_id, force=True)
    assert find_instance(site, instance_id) is None
    assert find_disk(site, system.id) is None


def test_what_keeps_an_instance_from_being_released(site):
    protected = make_instance(site, is_deletion_protected=True)
    with pytest.raises(DeletionProtectionError):
        release(site, protected, force=True)
    pending = order_instance(site)
    with pytest.raises(InstancePendingError):
        release_now(site, pending)
    site.work()
    [system] = list_disks_of(site, pending)
    with site.scope() as scope:
        connection = connect(scope, system.id)
    with pytest.raises(DiskConnectedError):
        release_now(site, pending)
    with site.scope() as scope:
        disconnect(scope, connection.id)
        detach_disk(scope, system.id, pending)
    with pytest.raises(DiskStateError):
        release_now(site, pending)
    with pytest.raises(InstanceNotFoundError):
        release_now(site.as_another_account(), protected)


def release_now(site, instance_id):
    with site.scope() as scope:
        delete_instance(scope, instance_id, force=True)


@pytest.mark.parametrize("fate", [True, False])
def test_a_detached_system_disk_waits_for_the_end_of_its_instance(site, fate):
    instance_id = make_instance(site)
    [system] = list_disks_of(site, instance_id)
    detach(site, system.id, instance_id, delete_with_instance=fate)
    with pytest.raises(SystemDiskMissingError), site.scope() as scope:
        start_instance(scope, instance_id)
    release(site, instance_id)
    left = find_disk(site, system.id)
    assert left is None if fate else (left.state, left.role) == (DiskState.AVAILABLE, DiskRole.DATA)


@pytest.mark.parametrize(
    ("state", "then"),
    [
        (InstanceState.PENDING, STOPPED),
        (InstanceState.STARTING, RUNNING),
        (InstanceState.STOPPING, STOPPED),
        (InstanceState.RELEASING, None),
    ],
)
def test_a_stranded_instance_is_taken_up(site, state, then):
    instance_id = order_instance(site)
    if state is not InstanceState.PENDING:
        site.work()
    put_into(site, instance_id, state)
    with site.installation.database.transaction() as session:
        for disk in list_disks_of(site, instance_id):
            if state is InstanceState.RELEASING:
                session.merge(disk).state = DiskState.DETACHING
        session.execute(delete(TaskRecord))
    restart_instances(site.installation)
    site.work()
    instance = find_instance(site, instance_id)
    assert instance is None if then is None else instance.state is then


def test_a_change_of_state_that_the_table_does_not_have_is_a_bug(site):
    instance_id = make_instance(site)
    instance = find_instance(site, instance_id)
    with pytest.raises(AssertionError):
        instance.move_to(InstanceState.PENDING)
    assert set(TRANSITIONS) == set(InstanceState)


def test_what_goes_with_an_instance_goes_whatever_the_reconcilers_do_meanwhile(site):
    """The release is accepted; the process dies before it is carried out, or its lane is busy."""
    instance_id = make_instance(site, data_disk(), data_disk(delete_with_instance=False))
    system, doomed, kept = (disk.id for disk in list_disks_of(site, instance_id))
    with site.scope() as scope:
        delete_instance(scope, instance_id)
    restart_disks(site.installation)
    plant = site.installation
    others = [kind for kind in KINDS if kind.name != "release-instance"]
    Runner(plant.database, site.clock, plant, others, {QUICK: 1}).run_until_idle()  # they are faster
    site.work()
    assert [find_disk(site, disk_id) for disk_id in (system, doomed)] == [None, None]
    assert find_disk(site, kept).state is DiskState.AVAILABLE


def roll_back(scope, disk_id, snapshot_id):
    reset_disk(scope, disk_id, snapshot_id)


@pytest.mark.parametrize("take_up", [roll_back, lambda scope, disk_id, _: connect(scope, disk_id)])
def test_a_detached_system_disk_that_is_being_used_keeps_its_instance_from_being_released(site, take_up):
    instance_id, system, snapshot_id = make_detached_system_disk(site)
    with site.scope() as scope:
        take_up(scope, system, snapshot_id)
    with pytest.raises((DiskStateError, DiskConnectedError)):
        release(site, instance_id)
    site.work()
    site.clock.advance(timedelta(days=1))
    release(site, instance_id)
    assert find_disk(site, system) is None


@pytest.mark.parametrize("take_up", [roll_back, lambda scope, disk_id, _: connect(scope, disk_id)])
def test_a_detached_system_disk_that_is_taken_up_during_the_release_is_a_disk_like_any_other(site, take_up):
    instance_id, system, snapshot_id = make_detached_system_disk(site)
    with site.scope() as scope:
        delete_instance(scope, instance_id)
        take_up(scope, system, snapshot_id)
    site.work()
    assert find_instance(site, instance_id) is None
    disk = site.disk(system)
    assert (disk.state, disk.role, disk.origin_instance_id) == (DiskState.AVAILABLE, DiskRole.DATA, None)
    site.clock.advance(timedelta(days=1))
    with site.scope() as scope:
        delete_disk(scope, system)


def make_detached_system_disk(site):
    instance_id = make_instance(site, is_running=True)
    stop(site, instance_id)
    [system] = list_disks_of(site, instance_id)
    snapshot_id = site.make_snapshot(system.id)
    detach(site, system.id, instance_id)
    return instance_id, system.id, snapshot_id


def test_a_disk_that_can_never_be_rolled_back_can_be_given_up(site):
    """Its only snapshot is damaged, which is found out when the first half of it is written."""
    instance_id = make_instance(site, data_disk(delete_with_instance=False), is_running=True)
    _, attached = (disk.id for disk in list_disks_of(site, instance_id))
    free = site.make_imported(b"x" * 1000)
    stop(site, instance_id)
    snapshots = {disk_id: site.make_snapshot(disk_id) for disk_id in (attached, free)}
    with site.scope() as scope:
        for disk_id, snapshot_id in snapshots.items():
            reset_disk(scope, disk_id, snapshot_id)
        with pytest.raises(DiskStateError):
            delete_disk(scope, free)
    damaged = change_step(ROLL_BACK_DISK, 1, run=then_raise(Corruption("a block does not open")))
    plant = site.installation
    Runner(plant.database, site.clock, plant, [damaged], {COPY: 1}).run_until_idle()
    with site.scope() as scope:
        delete_disk(scope, free)
        with pytest.raises(DiskStateError):
            delete_instance(scope, instance_id)  # the disk would be free, and torn
        modify_disk(scope, attached, DiskChanges(delete_with_instance=True))
        delete_instance(scope, instance_id)
    restart_disks(plant)
    site.work()
    assert [find_instance(site, instance_id), find_disk(site, attached), find_disk(site, free)] == [None] * 3


def test_an_attached_disk_stays_when_its_instance_goes(site):
    instance_id = make_instance(site, is_running=True)
    disk_id = make_free_disk(site, b"mine")
    attach(site, disk_id, instance_id)
    assert (site.disk(disk_id).state, site.disk(disk_id).device) == (DiskState.IN_USE, "/dev/xvdb")
    stop(site, instance_id)
    release(site, instance_id)
    assert site.disk(disk_id).state is DiskState.AVAILABLE
    assert site.read(disk_id, 0, 4) == b"mine"
