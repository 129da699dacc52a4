"""What the actions on images make of their parameters, and what an image looks like in an answer."""

import pytest

from lamina.api import rules
from lamina.api.actions.images.create_image import CreateImageRequest
from lamina.api.actions.images.describe_images import DescribeImagesRequest
from lamina.api.codes import ApiError
from lamina.api.schema import decode, to_tree
from lamina.api.shapes.image import ImageShape, show_image
from lamina.api.wire import Parameters, merge_pairs
from lamina.control.images.platforms import PLATFORMS, find_os_type
from lamina.control.images.states import OsType
from tests.factories.images import make_system_snapshot, share, start_image, view
from tests.factories.installation import open_site


def read(cls, **values):
    pairs = [
        ("RegionId", "cn-hangzhou"),
        *((name.replace("_", "."), value) for name, value in values.items()),
    ]
    return decode(cls, Parameters.of(merge_pairs(pairs, [])))


@pytest.mark.parametrize("name", ["web-1", "Übung:2.0_a", "图像", "ab", "a" * 128])
def test_names_that_images_may_have(name):
    assert rules.check_image_name(name) is None


@pytest.mark.parametrize(
    "name", ["a", "a" * 129, "1web", "aliyunos", "Acs:x", "x-https://x", "http://x", "two words"]
)
def test_names_that_images_may_not_have(name):
    assert rules.check_image_name(name)


def test_words_match_in_any_case_and_defaults_are_those_of_the_reference():
    request = read(CreateImageRequest, Platform="centos stream", Architecture="X86_64", BootMode="uefi")
    assert (request.platform, request.architecture, request.boot_mode) == ("CentOS Stream", "x86_64", "UEFI")
    plain = read(DescribeImagesRequest)
    assert (plain.status, plain.page_number, plain.page_size) == (("Available",), 1, 10)
    assert read(DescribeImagesRequest, ImageId="m-1, m-2,", Status="waiting,Creating").image_id == (
        "m-1",
        "m-2",
    )


def test_mappings_and_features_are_objects():
    values = {
        "DiskDeviceMapping_1_SnapshotId": "s-1",
        "DiskDeviceMapping_2_Size": "20",
        "DiskDeviceMapping_2_DiskType": "data",
        "Features_ImdsSupport": "v2",
    }
    request = read(CreateImageRequest, **values)
    system, data = request.disk_device_mapping
    assert (system.snapshot_id, system.size, data.size, data.disk_type) == ("s-1", None, 20, "data")
    assert request.features.imds_support == "v2"
    with pytest.raises(ApiError, match="ImdsSupport"):
        read(CreateImageRequest, Features_ImdsSupport="v3")
    too_many = {f"DiskDeviceMapping_{number}_Size": "1" for number in range(1, 19)}
    with pytest.raises(ApiError, match="18 entries"):
        read(CreateImageRequest, **too_many)


def test_every_platform_is_of_one_kind():
    kinds = {platform: find_os_type(platform) for platform in PLATFORMS}
    assert len(kinds) == len(PLATFORMS)
    assert {platform for platform, kind in kinds.items() if kind is OsType.WINDOWS} == {
        platform for platform in PLATFORMS if "Windows" in platform
    }


def test_a_family_without_an_image_is_an_empty_object():
    assert to_tree(ImageShape()) == {}


def test_others_see_neither_snapshots_nor_tags(tmp_path):
    with open_site(tmp_path) as site:
        snapshot_id = make_system_snapshot(site)
        image_id = start_image(site, snapshot_id=snapshot_id, tags={"key": "value"})
        other = site.as_another_account()
        share(site, image_id, add=[other.account_id])
        own, theirs = (to_tree(show_image(view(each, image_id))) for each in (site, other))
    assert own["DiskDeviceMappings"]["DiskDeviceMapping"][0]["SnapshotId"] == snapshot_id
    assert (own["IsSelfShared"], own["Tags"]["Tag"]) == ("True", [{"TagKey": "key", "TagValue": "value"}])
    assert snapshot_id not in str(theirs)
    assert (theirs["IsSelfShared"], theirs["Tags"]["Tag"]) == ("", [])
