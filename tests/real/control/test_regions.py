"""Two regions, of which one keeps its data in a directory and the other in a real S3 service, with keys of its own."""

import uuid

import pytest

from lamina.control.images.states import ImageState
from lamina.control.preferences import PREFERENCES_FILE
from lamina.control.recover import recover
from lamina.engine.objects.location import open_store
from lamina.failures import Refusal
from lamina.ids import RegionId
from lamina.settings import Settings
from tests.factories.image_copies import (
    DATA_BYTES,
    SYSTEM_BYTES,
    find_image,
    list_snapshots,
    make_image,
    read_snapshot,
    start_copy,
)
from tests.factories.installation import open_site
from tests.factories.regions import NEAR

FAR = RegionId("eu-west")


def write(folder, server, store):
    (folder / "data").mkdir(parents=True)
    (folder / "data" / PREFERENCES_FILE).write_text(
        f"""
        [regions.eu-west]
        store = "{store}"
        [regions.eu-west.s3]
        endpoint = "{server.endpoint}"
        region = "us-east-1"
        credentials = "sea-weed"
        """
    )


@pytest.fixture
def settings(seaweedfs):
    """Only the far region's keys open the service: the common ones and the common endpoint are wrong."""
    return Settings.from_environment(
        {
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "else",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            "LAMINA_S3_SEA_WEED_ACCESS_KEY_ID": seaweedfs.access_key_id,
            "LAMINA_S3_SEA_WEED_SECRET_ACCESS_KEY": seaweedfs.secret_access_key,
        }
    )


def test_b40_data_lies_in_the_store_of_its_region_and_nowhere_else(tmp_path, seaweedfs, settings):
    store = f"s3://{seaweedfs.bucket}/{uuid.uuid4().hex}"
    write(tmp_path, seaweedfs, store)
    with open_site(tmp_path, settings=settings) as site:
        far = open_store(store, site.installation.preferences.choose_settings(FAR, settings))
        image_id = make_image(site)
        near = tmp_path / "data" / "store" / NEAR / site.account_id
        assert list(far.list("")) == []
        packs = sorted(path.name for path in near.rglob("*") if path.is_file())
        copy_id = start_copy(site, image_id, to=FAR)
        site.work()
        assert find_image(site, copy_id).state is ImageState.AVAILABLE
        assert sorted(path.name for path in near.rglob("*") if path.is_file()) == packs
        assert {info.key.partition("/")[0] for info in far.list("")} == {site.account_id}
        assert not (tmp_path / "data" / "store" / FAR).exists()
        system_id, data_id, _ = list_snapshots(site, copy_id)
        assert read_snapshot(site, system_id, len(SYSTEM_BYTES), region_id=FAR) == SYSTEM_BYTES
        assert read_snapshot(site, data_id, len(DATA_BYTES), region_id=FAR) == DATA_BYTES
        owner = site.account_id
    second = tmp_path / "second"
    write(second, seaweedfs, store)
    for name in ("root.key", "store"):
        (tmp_path / "data" / name).rename(second / "data" / name)
    with open_site(second, settings=settings) as site:
        report = recover(site.installation)
        assert owner in report.accounts
        assert {system_id, data_id} < set(report.snapshots)
        assert site.snapshot(data_id).region_id == FAR


def test_a_region_without_its_keys_is_refused_at_the_start(tmp_path, seaweedfs):
    write(tmp_path, seaweedfs, f"s3://{seaweedfs.bucket}/{uuid.uuid4().hex}")
    with pytest.raises(Refusal, match="LAMINA_S3_SEA_WEED_ACCESS_KEY_ID"), open_site(tmp_path):
        pass
