"""Images to and from buckets of a service that speaks S3: raw as a stream, the others as files that are uploaded."""

import os
import secrets

import pytest

from lamina.control.first_start import DEFAULT_REGION
from lamina.control.images import exporting
from lamina.control.images.states import ImageState
from lamina.control.regions.records import RegionRecord
from lamina.settings import Settings
from lamina.units import MIB
from tests.factories.image_files import (
    find_service,
    list_objects,
    list_scratch,
    make_bucket,
    put_object,
    read_image,
    read_task,
    start_export,
    start_import,
    write_image_file,
)
from tests.factories.installation import open_site
from tests.servers.seaweedfs import seaweedfs

__all__ = ["seaweedfs"]
RAW = os.urandom(3 * MIB) + bytes(20 * MIB) + os.urandom(MIB)


@pytest.fixture
def site(tmp_path, seaweedfs):
    settings = Settings(
        s3_access_key_id=seaweedfs.access_key_id, s3_secret_access_key=seaweedfs.secret_access_key
    )
    with open_site(tmp_path, settings=settings) as opened:
        with opened.scope() as scope:
            scope.session.get(RegionRecord, DEFAULT_REGION.id).buckets = f"s3+{seaweedfs.endpoint}"
        yield opened


@pytest.fixture
def bucket(site):
    return make_bucket(site, f"bucket-{secrets.token_hex(8)}")


@pytest.fixture
def small(site, bucket):
    """An image of exactly the raw bytes: what is imported is not rounded up."""
    put_object(site, "in.raw", RAW, bucket)
    image = start_import(site, "in.raw", bucket=bucket)
    site.work()
    find_service(site).delete(bucket, "in.raw")
    return image


def test_a_raw_export_is_streamed_without_a_file_on_this_host(site, bucket, small, monkeypatch):
    def refuse(*_arguments):
        raise AssertionError("a scratch folder was made")

    monkeypatch.setattr(exporting, "clear_scratch", refuse)
    task_id = start_export(site, small, bucket=bucket)
    site.work()
    assert read_task(site, task_id).failure is None
    key = f"{small}_{task_id}.raw"
    assert list_objects(site, bucket) == {key: len(RAW)}
    with find_service(site).reading(bucket, key) as stream:
        assert b"".join(iter(lambda: stream.read(MIB), b"")) == RAW


def test_a_file_is_uploaded_and_comes_back(site, bucket, tmp_path):
    put_object(site, "in.qcow2", write_image_file(tmp_path, RAW, "qcow2").read_bytes(), bucket)
    image = start_import(site, "in.qcow2", bucket=bucket)
    site.work()
    assert (read_image(site, image).failure, read_image(site, image).state) == (None, ImageState.AVAILABLE)
    task_id = start_export(site, image, "vmdk", bucket=bucket)
    site.work()
    assert f"{image}_{task_id}.vmdk" in list_objects(site, bucket)
    assert list_scratch(site) == []


def test_a_stream_that_breaks_off_leaves_no_object(site, bucket, small):
    task_id = start_export(site, small, bucket=bucket)
    for pack in (site.installation.directory / "store").rglob("*"):
        if pack.is_file() and pack.stat().st_size > MIB:
            pack.write_bytes(bytes(pack.stat().st_size))
    site.work()
    assert '"corruption"' in read_task(site, task_id).failure
    assert list_objects(site, bucket) == {}
