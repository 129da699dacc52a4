"""Instances of a site: made, started, stopped, and looked at."""

from lamina.control.disks.attach import Attachment, attach_disk
from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.create import NewDisk, create_disk
from lamina.control.disks.detach import detach_disk
from lamina.control.disks.queries import list_attached
from lamina.control.disks.records import DiskRecord
from lamina.control.images.queries import BUILT_IN_ID
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.create import InstanceNames, NewInstance, create_instances
from lamina.control.provisioning.plan import InstanceDisk
from lamina.control.provisioning.release import delete_instance
from lamina.control.provisioning.start import start_instance
from lamina.control.provisioning.stop import stop_instance
from lamina.ids import DiskId, InstanceId
from tests.factories.installation import ZONE, Site


def data_disk(**options) -> InstanceDisk:
    return InstanceDisk(**{"category": DiskCategory.CLOUD_AUTO, "size_gib": 1, **options})


def order_instance(site: Site, *data: InstanceDisk, **options) -> InstanceId:
    """An instance whose task has not run yet."""
    new = {"instance_type": "ecs.g6.large", "data_disks": data, **options}
    [made] = order_instances(site, **new)
    return made


def order_instances(site: Site, *names: InstanceNames, **options) -> list[InstanceId]:
    """An instance for each name, or one; their tasks have not run yet."""
    new = {"zone_id": ZONE, "instance_type": "ecs.g6.large", "image_id": BUILT_IN_ID, **options}
    names = names or (InstanceNames(name=new.pop("name", None)),)
    with site.scope() as scope:
        return [made.id for made in create_instances(scope, NewInstance(**new), names)]


def make_instance(site: Site, *data: InstanceDisk, is_running: bool = False, **options) -> InstanceId:
    instance_id = order_instance(site, *data, **options)
    site.work()
    if is_running:
        start(site, instance_id)
    return instance_id


def make_free_disk(site: Site, content: bytes = b"", **options) -> DiskId:
    """A detached disk of 1 GiB that can also be resized."""
    with site.scope() as scope:
        new = NewDisk(**{"zone_id": ZONE, "category": DiskCategory.CLOUD_AUTO, "size_gib": 1, **options})
        disk_id = create_disk(scope, new).id
    site.work()
    if content:
        site.write(disk_id, 0, content)
    return disk_id


def start(site: Site, instance_id: InstanceId) -> None:
    with site.scope() as scope:
        start_instance(scope, instance_id)
    site.work()


def stop(site: Site, instance_id: InstanceId) -> None:
    with site.scope() as scope:
        stop_instance(scope, instance_id)
    site.work()


def release(site: Site, instance_id: InstanceId, *, force: bool = False) -> None:
    with site.scope() as scope:
        delete_instance(scope, instance_id, force=force)
    site.work()


def attach(site: Site, disk_id: DiskId, instance_id: InstanceId, **options) -> None:
    with site.scope() as scope:
        attach_disk(scope, Attachment(disk_id=disk_id, instance_id=instance_id, **options))
    site.work()


def detach(site: Site, disk_id: DiskId, instance_id: InstanceId, **options) -> None:
    with site.scope() as scope:
        detach_disk(scope, disk_id, instance_id, **options)
    site.work()


def find_instance(site: Site, instance_id: InstanceId) -> InstanceRecord | None:
    """The row, whatever its state."""
    with site.installation.database.reading() as session:
        return session.get(InstanceRecord, instance_id)


def find_disk(site: Site, disk_id: DiskId) -> DiskRecord | None:
    """The row, whatever its state."""
    with site.installation.database.reading() as session:
        return session.get(DiskRecord, disk_id)


def list_disks_of(site: Site, instance_id: InstanceId) -> list[DiskRecord]:
    """The disks of an instance, the system disk first."""
    with site.installation.database.reading() as session:
        return list(list_attached(session, instance_id))


def put_into(site: Site, instance_id: InstanceId, state: InstanceState) -> None:
    """Set a state by hand, as if a task had led there."""
    with site.installation.database.transaction() as session:
        session.get(InstanceRecord, instance_id).state = state
