"""A shared image that is deleted by its owner at the moment in which another account makes disks from it.

The two accounts write at the same time on a PostgreSQL, and one after the other with SQLite: either of them comes
first, and the other one sees what it did.
"""

import threading
from contextlib import contextmanager

import pytest

from lamina.control.disks.states import DiskState
from lamina.control.images.copy import NewImageCopy, copy_image
from lamina.control.images.delete import delete_image
from lamina.control.images.errors import ImageBusyError, ImageCopyingError, ImageNotFoundError
from lamina.control.images.share import share_image
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.create import InstanceNames, NewInstance, create_instances
from lamina.control.provisioning.reinit import reinit_disk
from lamina.control.provisioning.replace import replace_system_disk
from lamina.control.snapshots.delete import delete_snapshot
from tests.factories.images import find_image, make_system_snapshot, share, start_image
from tests.factories.instances import find_instance, list_disks_of, make_instance, start, stop

ROOT = b"root" * 1024
SECONDS = 20


@contextmanager
def writing(site):
    """What the API opens for a call: other accounts may write meanwhile."""
    with site.installation.database.transaction(of=site.account_id) as session:
        yield site.installation.scope(session, site.account_id, "cn-hangzhou")


class Rival(threading.Thread):
    """Does something in a transaction of its own, and tells how it ended."""

    def __init__(self, site, act):
        super().__init__()
        self._site, self._act = site, act
        self.refusal = None
        self.is_done = threading.Event()
        self.start()

    def run(self):
        try:
            with writing(self._site) as scope:
                self._act(scope)
        except Exception as refusal:  # noqa: BLE001 - the test looks at it
            self.refusal = refusal
        self.is_done.set()


class _World:
    """An image that is shared with another account, which has a stopped instance of it."""

    def __init__(self, site):
        self.owner, self.other = site, site.as_another_account()
        self.snapshot_id = make_system_snapshot(site, ROOT)
        self.image_id = start_image(site, snapshot_id=self.snapshot_id)
        share(site, self.image_id, add=[self.other.account_id])
        self.instance_id = make_instance(self.other, image_id=self.image_id)
        start(self.other, self.instance_id)
        stop(self.other, self.instance_id)
        [self.disk] = list_disks_of(self.other, self.instance_id)

    def take_away(self, scope):
        """The owner's script: unshare the image, delete it, and delete its snapshot."""
        share_image(scope, self.image_id, remove=[self.other.account_id])
        delete_image(scope, self.image_id, force=True)
        delete_snapshot(scope, self.snapshot_id)

    def create(self, scope):
        new = NewInstance(instance_type="ecs.g6.large", image_id=self.image_id)
        create_instances(scope, new, [InstanceNames()])

    def reinit(self, scope):
        reinit_disk(scope, self.disk.id)

    def replace(self, scope):
        replace_system_disk(scope, self.instance_id, self.image_id)

    def copy(self, scope):
        copy_image(scope, NewImageCopy(image_id=self.image_id, region_id="cn-hangzhou"))


@pytest.fixture
def world(site):
    return _World(site)


USES = ["create", "reinit", "replace", "copy"]


@pytest.mark.parametrize("use", USES)
def test_who_deletes_waits_for_whoever_is_about_to_use_it(world, use):
    with writing(world.other) as scope:
        getattr(world, use)(scope)
        rival = Rival(world.owner, world.take_away)
        assert not rival.is_done.wait(0.3), "it did not wait"
    rival.join(SECONDS)
    assert isinstance(rival.refusal, ImageCopyingError if use == "copy" else ImageBusyError)
    world.owner.work()
    assert find_image(world.owner, world.image_id) is not None
    if use == "create":
        return
    [disk] = list_disks_of(world.other, world.instance_id)
    assert disk.state is DiskState.IN_USE
    assert world.owner.read(disk.id, 0, len(ROOT)) == ROOT


@pytest.mark.parametrize("use", USES)
def test_who_uses_it_waits_for_whoever_deletes_it(world, use):
    with writing(world.owner) as scope:
        world.take_away(scope)
        rival = Rival(world.other, getattr(world, use))
        assert not rival.is_done.wait(0.3), "it did not wait"
    rival.join(SECONDS)
    assert isinstance(rival.refusal, ImageNotFoundError)
    world.owner.work()
    assert find_image(world.owner, world.image_id) is None
    [disk] = list_disks_of(world.other, world.instance_id)
    assert disk.state is DiskState.IN_USE
    assert world.owner.read(disk.id, 0, len(ROOT)) == ROOT, "not a byte was touched"
    assert find_instance(world.other, world.instance_id).state is InstanceState.STOPPED
