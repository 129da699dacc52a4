"""Images of a site, files in its buckets, and both ways between them."""

import subprocess
from pathlib import Path

from lamina.blockio.qemu.formats import ImageFormat
from lamina.control.buckets.records import BucketRecord
from lamina.control.disks.states import DiskRole
from lamina.control.first_start import DEFAULT_REGION
from lamina.control.images.add import ImageFacts
from lamina.control.images.create import NewImage, create_image
from lamina.control.images.export import NewExport, export_image
from lamina.control.images.import_image import FileToImport, import_image, look_at_object
from lamina.control.images.plan import DiskOfImage
from lamina.control.images.queries import list_image_disks
from lamina.control.images.records import ImageRecord
from lamina.tasks.records import TaskRecord

BUCKET = "my-files"
DRIVERS = {"raw": "raw", "qcow2": "qcow2", "vhd": "vpc", "vmdk": "vmdk", "vdi": "vdi"}


def find_service(site):
    return site.installation.buckets.service(DEFAULT_REGION.id)


def make_bucket(site, name=BUCKET):
    find_service(site).create(name)
    with site.scope() as scope:
        scope.session.add(
            BucketRecord(
                name=name,
                account_id=site.account_id,
                region_id=DEFAULT_REGION.id,
                is_made=True,
                created_at=scope.clock.now(),
            )
        )
    return name


def list_objects(site, bucket=BUCKET):
    return {
        each.key: each.size_bytes for each in find_service(site).list(bucket, prefix="", after="", limit=99)
    }


def download(site, key, path, bucket=BUCKET):
    with find_service(site).reading(bucket, key) as stream, Path(path).open("wb") as file:
        while data := stream.read(1 << 20):
            file.write(data)
    return Path(path)


def put_object(site, key, data, bucket=BUCKET):
    with find_service(site).writing(bucket, key) as stream:
        stream.write(data)
    return key


def make_image(site, *contents, size_bytes=1 << 30, name="image"):
    """An image of a system disk, and of data disks, that hold these bytes at their starts."""
    snapshots = []
    for index, content in enumerate(contents):
        role = DiskRole.DATA if index else DiskRole.SYSTEM
        disk = site.make_imported(content, size_bytes=size_bytes, role=role)
        snapshots.append(site.make_snapshot(disk))
    disks = [DiskOfImage(snapshot_id=each) for each in snapshots]
    with site.scope() as scope:
        return create_image(scope, NewImage(facts=ImageFacts(name=name), disks=disks)).id


def start_export(site, image_id, image_format="raw", prefix=None, bucket=BUCKET):
    with site.scope() as scope:
        new = NewExport(image_id=image_id, bucket=bucket, prefix=prefix, format=ImageFormat(image_format))
        return export_image(scope, new)


def start_import(site, *keys, bucket=BUCKET, formats=None, sizes=None, name="imported"):
    files = []
    for index, key in enumerate(keys):
        size, found = look_at_object(find_service(site), bucket, key)
        chosen = ImageFormat(formats[index]) if formats else found
        files.append(
            FileToImport(
                bucket=bucket,
                key=key,
                format=chosen,
                size_bytes=size,
                size_gib=sizes[index] if sizes else None,
            )
        )
    with site.scope() as scope:
        return import_image(scope, ImageFacts(name=name), files).id


def read_task(site, task_id):
    with site.installation.database.reading() as session:
        return session.get(TaskRecord, task_id)


def read_image(site, image_id):
    with site.installation.database.reading() as session:
        return session.get(ImageRecord, image_id)


def read_image_disks(site, image_id):
    with site.installation.database.reading() as session:
        return list_image_disks(session, image_id)


def list_scratch(site):
    """The tasks that have files somewhere: of the installation, or of its default region's buckets."""
    tops = [site.installation.directory / "scratch", find_service(site).scratch()]
    return sorted(path.name for top in tops if top is not None for path in top.glob("*"))


def write_image_file(folder, raw, image_format, *options):
    """Raw bytes as a file of another format, made by the foreign program itself."""
    source, target = Path(folder) / "source.raw", Path(folder) / f"file.{image_format}"
    source.write_bytes(raw)
    command = ["qemu-img", "convert", "-f", "raw", "-O", DRIVERS[image_format], *options, source, target]
    subprocess.run(command, check=True)
    return target
