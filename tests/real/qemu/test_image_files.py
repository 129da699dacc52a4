"""Images in every format: what leaves is what the snapshot holds, and what comes in is what the file held."""

import os
import struct
import subprocess

import pytest

from lamina.blockio.nbd.listening import UnixAddress
from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.create import NewDisk, create_disk
from lamina.control.first_start import DEFAULT_REGION
from lamina.control.images import scratch
from lamina.control.images.states import ImageState
from lamina.control.shown_tasks.queries import get_task
from lamina.control.shown_tasks.states import TaskStatus
from lamina.transfer.export import ExportRequest, SnapshotExport
from lamina.units import MIB
from tests.factories.image_files import (
    DRIVERS,
    download,
    list_objects,
    list_scratch,
    make_bucket,
    make_image,
    put_object,
    read_image,
    read_image_disks,
    read_task,
    start_export,
    start_import,
    write_image_file,
)
from tests.factories.installation import ZONE, open_site
from tests.interop.conftest import running

FORMATS = sorted(DRIVERS)
OTHERS = [each for each in FORMATS if each != "raw"]
RAW = os.urandom(700_000) + bytes(5 * MIB) + os.urandom(300_000)


def compare(kind, path, uri):
    """Compare a file with a served disk, byte by byte, with the foreign program."""
    command = ["qemu-img", "compare", "-f", kind, "-F", "raw", path, uri]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "Images are identical.", done.stdout + done.stderr  # sizes included


@pytest.mark.parametrize("image_format", FORMATS)
def test_an_export_is_identical_with_the_snapshot(site, tmp_path, image_format):
    image = make_image(site, RAW, b"second disk" * 999)
    task_id = start_export(site, image, image_format, prefix="p")
    site.work()
    assert sorted(list_objects(site)) == [
        f"p_{image}_{task_id}.{image_format}",
        f"p_{image}_{task_id}_data_1.{image_format}",
    ]
    repository = site.installation.repositories.find(site.account_id, DEFAULT_REGION.id)
    for key, disk in zip(sorted(list_objects(site)), read_image_disks(site, image), strict=True):
        path = download(site, key, tmp_path / key)
        if image_format in ("qcow2", "vmdk", "vdi"):
            subprocess.run(["qemu-img", "check", "-q", "-f", DRIVERS[image_format], path], check=True)
        with (
            SnapshotExport(repository, disk.snapshot_id, ExportRequest(name="x")) as export,
            running({"x": export}, UnixAddress(path=tmp_path / "n.sock")) as uri,
        ):
            compare(DRIVERS[image_format], path, uri)
    assert list_scratch(site) == []


@pytest.mark.parametrize("image_format", FORMATS)
def test_an_import_holds_the_bytes_of_the_file(site, tmp_path, image_format):
    path = write_image_file(tmp_path, RAW, image_format)
    put_object(site, f"system.{image_format}", path.read_bytes())
    image = start_import(site, f"system.{image_format}")
    site.work()
    assert (read_image(site, image).state, read_image(site, image).failure) == (ImageState.AVAILABLE, None)
    (disk,) = read_image_disks(site, image)
    assert (disk.size_gib, disk.format) == (1, image_format.upper())
    with site.scope() as scope:
        new = NewDisk(zone_id=ZONE, category=DiskCategory.CLOUD_AUTO, snapshot_id=disk.snapshot_id)
        made = create_disk(scope, new).id
    site.work()
    assert site.read(made, 0, len(RAW) + 1) == RAW + b"\0"
    assert list_scratch(site) == []


@pytest.mark.parametrize("option", ["-c", "-ocompat=0.10", "-oextended_l2=on", "-ocluster_size=512"])
def test_variants_of_qcow2_are_imported(site, tmp_path, option):
    path = write_image_file(tmp_path, RAW, "qcow2", option)
    put_object(site, "system.qcow2", path.read_bytes())
    image = start_import(site, "system.qcow2")
    site.work()
    assert read_image(site, image).state is ImageState.AVAILABLE


def test_a_compressed_vmdk_and_a_fixed_vhd_are_imported(site, tmp_path):
    for image_format, option in (
        ("vmdk", "subformat=streamOptimized"),
        ("vhd", "subformat=fixed,force_size=on"),
    ):
        path = write_image_file(tmp_path, RAW, image_format, "-o", option)
        put_object(site, f"system.{image_format}", path.read_bytes())
        image = start_import(site, f"system.{image_format}", name=image_format)
        site.work()
        assert read_image(site, image).state is ImageState.AVAILABLE


def test_internal_snapshots_of_a_qcow2_are_ignored(site, tmp_path):
    path = write_image_file(tmp_path, RAW, "qcow2")
    subprocess.run(["qemu-img", "snapshot", "-c", "inside", path], check=True)
    put_object(site, "system.qcow2", path.read_bytes())
    image = start_import(site, "system.qcow2")
    site.work()
    assert read_image(site, image).state is ImageState.AVAILABLE


def make_secret(tmp_path):
    secret = tmp_path / "secret.raw"
    secret.write_bytes(b"secret" * 4096)
    return secret


def fail_import(site, key, data, formats=None):
    put_object(site, key, data)
    image = start_import(site, key, formats=formats, name=key)
    site.work()
    found = read_image(site, image)
    assert found.state is ImageState.CREATE_FAILED
    assert (site.list_stored(), list_scratch(site)) == ([], [])
    assert str(site.installation.directory) not in found.failure
    return found.failure


def test_a_file_that_names_another_file_gives_nothing_away(site, tmp_path):
    secret = make_secret(tmp_path)
    overlay, split = tmp_path / "overlay.qcow2", tmp_path / "split.qcow2"
    create = ["qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run([*create, "-b", secret, "-F", "raw", overlay, str(MIB)], check=True)
    subprocess.run([*create, "-o", f"data_file={secret},data_file_raw=on", split, "24576"], check=True)
    assert "backing file" in fail_import(site, "overlay.qcow2", overlay.read_bytes())
    assert "another file" in fail_import(site, "split.qcow2", split.read_bytes())
    flat = tmp_path / "flat.vmdk"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "vmdk", "-o", "subformat=monolithicFlat", flat, "1M"], check=True
    )
    assert "hold all of their data" in fail_import(site, "flat.vmdk", flat.read_bytes())


def test_an_encrypted_qcow2_is_refused(site, tmp_path):
    path = tmp_path / "secret.qcow2"
    secret = ["--object", "secret,id=k,data=password"]
    options = "encrypt.format=aes,encrypt.key-secret=k"
    command = ["qemu-img", "create", "-q", *secret, "-f", "qcow2", "-o", options, path, "1M"]
    subprocess.run(command, check=True)
    assert "encrypted" in fail_import(site, "secret.qcow2", path.read_bytes())


def test_a_file_of_another_format_than_was_said_is_refused(site, tmp_path):
    path = write_image_file(tmp_path, RAW, "qcow2")
    assert "no footer" in fail_import(site, "a", path.read_bytes(), formats=["vhd"])
    assert "qemu-img" not in fail_import(site, "b", path.read_bytes(), formats=["vdi"])


def test_a_disk_that_has_no_bytes_for_qemu_img_is_refused(site, tmp_path):
    """A VHD has its size twice; that of the cylinders counts where another program than those of today made it."""
    data = bytearray(write_image_file(tmp_path, RAW, "vhd").read_bytes())
    for footer in (0, len(data) - 512):
        data[footer + 28 : footer + 32] = b"old "
        data[footer + 56 : footer + 60] = data[footer + 64 : footer + 68] = bytes(4)
        total = ~sum(data[footer : footer + 512]) & 0xFFFF_FFFF
        data[footer + 64 : footer + 68] = total.to_bytes(4)
    assert "no bytes" in fail_import(site, "empty.vhd", bytes(data))


def make_bomb(path):
    """A file of a few hundred KiB whose disk has 512 MiB of data: every entry of its table is the same cluster."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "512M"], check=True)
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 64k", path], check=True, stdout=subprocess.DEVNULL
    )
    with path.open("r+b") as file:
        file.seek(40)
        (table,) = struct.unpack(">Q", file.read(8))
        file.seek(table)
        (leaf,) = struct.unpack(">Q", file.read(8))
        file.seek(leaf & ~(1 << 63))
        entry = file.read(8)
        file.seek(-8, 1)
        file.write(entry * 8192)
    return path


def test_a_bomb_ends_at_the_limit_of_room(site, tmp_path, monkeypatch):
    bomb = make_bomb(tmp_path / "bomb.qcow2")
    assert bomb.stat().st_size < MIB
    status = os.statvfs(site.installation.directory)
    monkeypatch.setattr(scratch, "RESERVE_BYTES", status.f_bavail * status.f_frsize - 64 * MIB)
    assert "no room to convert" in fail_import(site, "bomb.qcow2", bomb.read_bytes())


def test_damage_in_the_snapshot_is_told_as_such(site):
    image = make_image(site, RAW)
    task_id = start_export(site, image, "qcow2")
    for pack in (site.installation.directory / "store").rglob("*"):
        if pack.is_file() and pack.stat().st_size > 500_000:
            pack.write_bytes(bytes(pack.stat().st_size))
    site.work()
    with site.scope() as scope:
        view = get_task(scope, task_id)
    assert (view.status, view.failure.kind.value) == (TaskStatus.FAILED, "corruption")
    assert "damaged" in view.failure.message
    assert (list_objects(site), list_scratch(site)) == ({}, [])


def test_without_qemu_img_raw_still_works_and_the_rest_says_what_is_missing(site, tmp_path, monkeypatch):
    path = write_image_file(tmp_path, RAW, "qcow2")
    put_object(site, "system.qcow2", path.read_bytes())
    put_object(site, "system.raw", RAW)
    monkeypatch.setenv("PATH", str(tmp_path))
    image = start_import(site, "system.raw", name="raw")
    refused = start_import(site, "system.qcow2", name="qcow2")
    site.work()
    assert "Debian package qemu-utils" in read_image(site, refused).failure
    good, bad = start_export(site, image), None
    site.work()
    bad = start_export(site, image, "vmdk")
    site.work()
    assert read_task(site, good).state.value == "succeeded"
    assert "Debian package qemu-utils" in read_task(site, bad).failure


def test_a_long_folder_is_no_obstacle(tmp_path):
    """A socket's name has 107 bytes at most; the folder of an installation may be longer."""
    folder = tmp_path / ("long" * 30) / ("deep" * 30)
    folder.mkdir(parents=True)
    with open_site(folder) as site:
        make_bucket(site)
        start_export(site, make_image(site, RAW), "qcow2")
        site.work()
        assert len(list_objects(site)) == 1


@pytest.mark.parametrize("image_format", OTHERS)
def test_a_disk_survives_both_ways(site, image_format):
    image = make_image(site, RAW)
    start_export(site, image, image_format)
    site.work()
    (key,) = list_objects(site)
    again = start_import(site, key, name="again")
    site.work()
    repository = site.installation.repositories.find(site.account_id, DEFAULT_REGION.id)
    contents = []
    for each in (image, again):
        (disk,) = read_image_disks(site, each)
        with SnapshotExport(repository, disk.snapshot_id) as export:
            used = repository.read_manifest(disk.snapshot_id).used_bytes
            contents.append((export.size_bytes, used, bytes(export.read(0, len(RAW) + MIB))))
    assert contents[0] == contents[1]
    assert contents[0][2] == RAW + bytes(MIB)
