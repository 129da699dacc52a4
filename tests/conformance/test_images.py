"""Images through the official clients: made, listed, changed, deleted; and the snapshots that they hold."""

import pytest
from alibabacloud_ecs20140526 import models as m
from alibabacloud_tea_openapi.exceptions import ClientException

from tests.conformance.conftest import REGION, wait_until
from tests.conformance.instances import (
    IMAGE,
    code_of,
    data_disk,
    list_disks_of,
    make_instance,
    start,
    stop,
)

SYSTEM, DATA = b"system" * 20_000, b"data" * 20_000


def describe_images(account, **wanted):
    request = m.DescribeImagesRequest(region_id=REGION, **wanted)
    return account.new_sdk().describe_images(request).body


def list_ids(account, **wanted):
    return [image.image_id for image in describe_images(account, **wanted).images.image]


def find_image(account, image_id):
    found = describe_images(account, image_id=image_id, status="ALL").images.image
    return found[0] if found else None


def wait_image(account, image_id, status="Available"):
    return wait_until(lambda: find_image(account, image_id), lambda image: image.status == status)


def create_image(account, **options):
    request = m.CreateImageRequest(region_id=REGION, **options)
    return account.new_sdk().create_image(request).body.image_id


def delete_image(account, image_id, **options):
    request = m.DeleteImageRequest(region_id=REGION, image_id=image_id, **options)
    account.new_sdk().delete_image(request)


def create_refused(account, **options):
    return code_of(account.new_sdk().create_image, m.CreateImageRequest(region_id=REGION, **options))


def delete_refused(account, image_id, **options):
    request = m.DeleteImageRequest(region_id=REGION, image_id=image_id, **options)
    return code_of(account.new_sdk().delete_image, request)


def delete_snapshot_refused(account, snapshot_id, *, force=False):
    request = m.DeleteSnapshotRequest(snapshot_id=snapshot_id, force=force)
    with pytest.raises(ClientException) as refused:
        account.new_sdk().delete_snapshot(request)
    return refused.value


def mapping(**fields):
    return m.CreateImageRequestDiskDeviceMapping(**fields)


def make_snapshot(account, content=SYSTEM, role="system"):
    return account.make_snapshot(account.make_disk(content, DiskType=role))


def make_used_instance(account, *contents, **options):
    """A stopped instance that ran once; its disks hold these bytes."""
    instance_id = make_instance(account, *(data_disk() for _ in contents[1:]), **options)
    start(account, instance_id)
    stop(account, instance_id)
    for disk_id, content in zip(list_disks_of(account, instance_id), contents, strict=True):
        account.write(disk_id, content)
    return instance_id


def test_b41_e31_an_image_of_an_instance_has_a_snapshot_of_each_of_its_disks(account):
    instance_id = make_used_instance(account, SYSTEM, DATA)
    tag = m.CreateImageRequestTag(key="stage", value="test")
    image_id = create_image(
        account,
        instance_id=instance_id,
        image_name="golden",
        description="words",
        tag=[tag],
        client_token="t",
    )
    image = wait_image(account, image_id)
    assert (image.image_name, image.description, image.image_owner_alias) == ("golden", "words", "self")
    assert (image.usable, image.progress, image.usage, image.is_self_shared) == (
        True,
        "100%",
        "none",
        "False",
    )
    assert [(each.tag_key, each.tag_value) for each in image.tags.tag] == [("stage", "test")]
    disks = image.disk_device_mappings.disk_device_mapping
    assert [(each.device, each.type, each.size) for each in disks] == [
        ("/dev/xvda", "system", "20"),
        ("/dev/xvdb", "data", "1"),
    ]
    snapshots = [account.describe("Snapshot", each.snapshot_id) for each in disks]
    assert [each["SourceDiskId"] for each in snapshots] == list_disks_of(account, instance_id)
    assert {(each["Status"], each["Usage"]) for each in snapshots} == {("accomplished", "image")}
    for each, content in zip(disks, (SYSTEM, DATA), strict=True):
        request = m.CreateDiskRequest(
            region_id=REGION,
            zone_id="cn-hangzhou-h",
            disk_category="cloud_auto",
            snapshot_id=each.snapshot_id,
        )
        disk_id = account.new_sdk().create_disk(request).body.disk_id
        account.wait_disk(disk_id)
        assert account.read(disk_id, len(content)) == content
    again = create_image(
        account,
        instance_id=instance_id,
        image_name="golden",
        description="words",
        tag=[tag],
        client_token="t",
    )
    assert again == image_id
    delete_image(account, image_id)
    assert find_image(account, image_id) is None
    assert all(account.describe("Snapshot", each.snapshot_id) for each in disks)


def test_b41_e32_an_image_of_a_system_disks_snapshot_starts_instances(account):
    snapshot_id = make_snapshot(account)
    image_id = create_image(account, snapshot_id=snapshot_id)
    image = find_image(account, image_id)
    assert (image.status, image.size, image.image_name) == ("Available", 1, image_id)
    instance_id = make_instance(account, image_id=image_id)
    [disk_id] = list_disks_of(account, instance_id)
    assert account.read(disk_id, len(SYSTEM)) == SYSTEM
    assert find_image(account, image_id).usage == "instance"
    assert list_ids(account, usage="instance") == [image_id]
    assert image_id not in list_ids(account, usage="none")


def test_e32_not_of_a_snapshot_in_progress(account):
    disk_id = account.make_disk(SYSTEM * 500, DiskType="system")
    request = m.CreateSnapshotRequest(disk_id=disk_id)
    snapshot_id = account.new_sdk().create_snapshot(request).body.snapshot_id
    try:
        refused = create_refused(account, snapshot_id=snapshot_id)
        assert refused == (403, "InvalidSnapshotId.NotReady")
    finally:
        account.wait_snapshot(snapshot_id)


def test_b42_e34_a_data_disks_snapshot_becomes_no_image(account):
    data = make_snapshot(account, DATA, "data")
    assert create_refused(account, snapshot_id=data) == (403, "OperationDenied")
    called = [mapping(snapshot_id=data, disk_type="system")]
    assert create_refused(account, disk_device_mapping=called) == (403, "OperationDenied")


def test_b41_e30_an_image_has_exactly_one_system_disk(account):
    data, system = make_snapshot(account, DATA, "data"), make_snapshot(account)
    for snapshots in ([data], [system, system]):
        disks = [mapping(snapshot_id=each) for each in snapshots]
        assert create_refused(account, disk_device_mapping=disks) == (400, "OperationDenied")
    disks = [
        mapping(snapshot_id=data, device="/dev/xvdd", size=3),
        mapping(snapshot_id=system, disk_type="system"),
        mapping(size=7),
    ]
    image = find_image(account, create_image(account, disk_device_mapping=disks))
    assert [
        (each.device, each.type, each.size, each.snapshot_id)
        for each in image.disk_device_mappings.disk_device_mapping
    ] == [
        ("/dev/xvda", "system", "1", system),
        ("/dev/xvdb", "data", "7", ""),
        ("/dev/xvdd", "data", "3", data),
    ]
    empty = [mapping(snapshot_id=data), mapping(device="/dev/xvda", size=20)]
    assert create_refused(account, disk_device_mapping=empty) == (403, "InvalidSystemSnapshot.Missing")


def test_what_no_image_is_made_of(account):
    system = make_snapshot(account)
    create_image(account, snapshot_id=system, image_name="taken")
    for options, code in (
        ({}, (400, "MissingParameter")),
        ({"snapshot_id": system, "image_name": "taken"}, (400, "InvalidImageName.Duplicated")),
        ({"snapshot_id": system, "image_name": "aliyun-1"}, (400, "InvalidImageName.Malformed")),
        ({"snapshot_id": system, "image_family": "x http://x"}, (400, "InvalidImageFamily.Malformed")),
        ({"snapshot_id": system, "image_version": "1" * 41}, (400, "InvalidImageVersion.Malformed")),
        ({"snapshot_id": system, "description": "x"}, (400, "InvalidDescription.Malformed")),
        ({"snapshot_id": system, "platform": "BeOS"}, (400, "InvalidPlatform.Malformed")),
        ({"snapshot_id": system, "architecture": "vax"}, (400, "InvalidArchitecture.Malformed")),
        ({"snapshot_id": system, "boot_mode": "tape"}, (400, "InvalidBootMode.NotSupport")),
        ({"snapshot_id": system, "resource_group_id": "rg-1"}, (404, "InvalidResourceGroup.NotFound")),
        ({"snapshot_id": "s-none"}, (404, "InvalidSnapshotId.NotFound")),
        ({"instance_id": "i-none"}, (404, "InvalidInstanceId.NotFound")),
        ({"instance_id": make_instance(account)}, (403, "IncorrectDiskStatus.NeverAttached")),
        ({"snapshot_id": system, "dry_run": True}, (400, "DryRunOperation")),
    ):
        assert create_refused(account, **options) == code
    for fields, code in (
        ({"device": "/dev/sda1", "size": 1}, (400, "InvalidDevice.Malformed")),
        ({"device": "/dev/xvdb", "size": 1}, (400, "InvalidDevice.InUse")),
        ({"device": "/dev/xvdc"}, (400, "InvalidSize.ValueNotSupported")),
        ({"size": 1, "disk_type": "tape"}, (400, "InvalidDiskType.ValueNotSupported")),
        ({"snapshot_id": system, "disk_type": "data"}, (400, "InvalidParameter.DiskType")),
    ):
        disks = [mapping(snapshot_id=system), mapping(size=1, device="/dev/xvdb"), mapping(**fields)]
        assert create_refused(account, disk_device_mapping=disks) == code
    assert list_ids(account, image_name="taken*", image_owner_alias="self") != []
    assert len(list_ids(account, image_owner_alias="self")) == 1


def test_b15_e20_e36_a_snapshot_that_images_use_is_not_deleted(account):
    system = make_snapshot(account)
    images = sorted(create_image(account, snapshot_id=system) for _ in range(2))
    for force in (False, True):
        refused = delete_snapshot_refused(account, system, force=force)
        assert (refused.status_code, refused.code) == (403, "SnapshotCreatedImage")
        assert refused.request_id
        assert all(image_id in str(refused) for image_id in images)
    assert sorted(list_ids(account, snapshot_id=system)) == images
    with pytest.raises(Exception, match="SnapshotCreatedImage"):
        account.old("DeleteSnapshot", SnapshotId=system, Force=True)
    for image_id in images:
        delete_image(account, image_id)
    account.new_sdk().delete_snapshot(m.DeleteSnapshotRequest(snapshot_id=system))
    assert account.describe("Snapshot", system) is None


def test_e20_with_an_image_and_a_disk_the_image_is_named_first(account):
    data, system = make_snapshot(account, DATA, "data"), make_snapshot(account)
    disks = [mapping(snapshot_id=system), mapping(snapshot_id=data)]
    image_id = create_image(account, disk_device_mapping=disks)
    request = m.CreateDiskRequest(
        region_id=REGION, zone_id="cn-hangzhou-h", disk_category="cloud_auto", snapshot_id=data
    )
    account.wait_disk(account.new_sdk().create_disk(request).body.disk_id)
    assert account.describe("Snapshot", data)["Usage"] == "image_disk"
    assert delete_snapshot_refused(account, data).code == "SnapshotCreatedImage"
    delete_image(account, image_id)
    assert account.describe("Snapshot", data)["Usage"] == "disk"
    assert delete_snapshot_refused(account, data).code == "SnapshotCreatedDisk"


def test_b16_e21_an_image_that_instances_use_is_deleted_by_force(account):
    image_id = create_image(account, snapshot_id=make_snapshot(account))
    instance_id = make_used_instance(account, b"changed", image_id=image_id)
    assert delete_refused(account, image_id) == (403, "ImageUsingByInstance")
    delete_image(account, image_id, force=True)
    [disk_id] = list_disks_of(account, instance_id)
    request = m.ReInitDiskRequest(disk_id=disk_id)
    assert code_of(account.new_sdk().re_init_disk, request) == (404, "InvalidImageId.NotFound")
    assert account.read(disk_id, 7) == b"changed"
    assert create_refused(account, instance_id="i-none")[0] == 404


def test_b40_e28_images_start_instances_and_snapshots_do_not(account):
    snapshot_id = make_snapshot(account)
    request = m.RunInstancesRequest(region_id=REGION, image_id=snapshot_id, instance_type="ecs.g6.large")
    assert code_of(account.new_sdk().run_instances, request) == (404, "InvalidImageId.NotFound")
    assert make_instance(account, image_id=create_image(account, snapshot_id=snapshot_id))


def test_deleting_what_is_not_there_is_no_error(account):
    delete_image(account, "m-" + "0" * 20)
    delete_image(account, IMAGE)
    assert IMAGE in list_ids(account)
    image_id = create_image(account, snapshot_id=make_snapshot(account))
    assert delete_refused(account, image_id, dry_run=True) == (400, "DryRunOperation")
    assert list_ids(account, image_owner_alias="self") == [image_id]


def test_lists_and_their_filters(account):
    system = make_snapshot(account)
    tag = m.CreateImageRequestTag(key="stage", value="test")
    web = create_image(account, snapshot_id=system, image_name="web-1", image_family="web", tag=[tag])
    db = create_image(
        account, snapshot_id=system, image_name="db-1", platform="Windows Server 2022", architecture="arm64"
    )
    mine = {"image_owner_alias": "self"}
    assert list_ids(account, **mine) == [db, web]
    assert list_ids(account, **mine, image_id=f"{web},m-none") == [web]
    assert list_ids(account, image_name="*EB*") == list_ids(account, image_family="web") == [web]
    assert list_ids(account, image_name="web") == list_ids(account, image_owner_alias="others") == []
    assert list_ids(account, ostype="windows") == list_ids(account, architecture="arm64") == [db]
    assert list_ids(account, **mine, instance_type="ecs.g6.large") == [web]
    assert list_ids(account, tag=[m.DescribeImagesRequestTag(key="stage", value="test")]) == [web]
    assert list_ids(account, **mine, status="Waiting,Creating,CreateFailed,Available") == [db, web]
    assert list_ids(account, **mine, status="Deprecated") == []
    assert list_ids(account, **mine, action_type="ChangeOS", usable=True, page_size=1) == [db]
    assert list_ids(account, **mine, page_size=1, page_number=2) == [web]
    assert list_ids(account, image_owner_alias="system", image_name=IMAGE) == [IMAGE]
    assert list_ids(account, is_support_cloudinit=True) == list_ids(account, resource_group_id="rg-1") == []
    answer = describe_images(account, **mine, page_size=1)
    assert (answer.total_count, answer.page_number, answer.page_size, answer.region_id) == (2, 1, 1, REGION)
    window = [m.DescribeImagesRequestFilter(key="CreationEndTime", value="2020-01-01T00:00Z")]
    vpc = [m.DescribeImagesRequestFilter(key="NetworkType", value="vpc")]
    hot = [m.DescribeImagesRequestFilter(key="CpuOnlineUpgrade", value="supported")]
    assert [list_ids(account, **mine, filter=each) for each in (window, vpc, hot)] == [[], [db, web], []]
    shown = account.old("DescribeImages", ImageOwnerAlias="self", ImageId=db)["Images"]["Image"][0]
    assert (shown["OSType"], shown["Platform"], shown["ImageOwnerId"]) == (
        "windows",
        "Windows Server 2022",
        int(account.account_id),
    )


def test_filters_that_cannot_be(account):
    for wanted, code in (
        ({"image_owner_alias": "nobody"}, (400, "InvalidImageOwnerAlias.ValueNotSupported")),
        ({"status": "Available,Gone"}, (400, "InvalidParamter")),
        ({"usage": "disk"}, (404, "InvalidUsage")),
        ({"ostype": "mac"}, (404, "InvalidOSType")),
        ({"architecture": "vax"}, (404, "InvalidArchitecture")),
        ({"instance_type": "ecs.none"}, (400, "InvalidInstanceType.ValueNotSupported")),
        (
            {"filter": [m.DescribeImagesRequestFilter(key="Colour", value="red")]},
            (404, "InvalidFilterKey.NotFound"),
        ),
        ({"dry_run": True}, (400, "DryRunOperation")),
    ):
        request = m.DescribeImagesRequest(region_id=REGION, **wanted)
        assert code_of(account.new_sdk().describe_images, request) == code


def test_families_and_deprecation(account):
    def newest():
        request = m.DescribeImageFromFamilyRequest(region_id=REGION, image_family="web")
        return account.new_sdk().describe_image_from_family(request).body.image.image_id

    def modify(image_id, **changes):
        request = m.ModifyImageAttributeRequest(region_id=REGION, image_id=image_id, **changes)
        account.new_sdk().modify_image_attribute(request)

    assert newest() is None
    system = make_snapshot(account)
    first = create_image(account, snapshot_id=system, image_family="web", image_name="first")
    second = create_image(account, snapshot_id=system, image_family="web")
    assert newest() == second
    modify(second, status="Deprecated")
    assert (newest(), find_image(account, second).status) == (first, "Deprecated")
    assert make_instance(account, image_id=second)
    modify(second, status="Available", description="words", boot_mode="UEFI", license_type="BYOL")
    changed = find_image(account, second)
    assert (changed.status, changed.description, changed.boot_mode) == ("Available", "words", "UEFI")
    modify(second, image_family="other", description="")
    assert (newest(), find_image(account, second).description) == (first, "")
    for changes, code in (
        ({"image_name": "first"}, (400, "InvalidImageName.Duplicated")),
        ({"image_name": "1"}, (400, "InvalidImageName.Malformed")),
        ({"description": "x"}, (400, "InvalidDescription.Malformed")),
        ({"image_id": "m-none"}, (404, "InvalidImageId.NotFound")),
        ({"status": "Gone"}, (400, "InvalidParameter")),
    ):
        request = m.ModifyImageAttributeRequest(region_id=REGION, **{"image_id": second, **changes})
        assert code_of(account.new_sdk().modify_image_attribute, request) == code


def test_tags_know_images(account):
    image_id = create_image(account, snapshot_id=make_snapshot(account))
    sdk = account.new_sdk()
    tag = m.TagResourcesRequestTag(key="stage", value="live")
    sdk.tag_resources(
        m.TagResourcesRequest(region_id=REGION, resource_type="image", resource_id=[image_id], tag=[tag])
    )
    wanted = m.ListTagResourcesRequest(region_id=REGION, resource_type="image", resource_id=[image_id])
    [found] = sdk.list_tag_resources(wanted).body.tag_resources.tag_resource
    assert (found.resource_id, found.tag_key, found.tag_value) == (image_id, "stage", "live")
    counts = account.old("DescribeTags", ResourceType="image")["Tags"]["Tag"]
    assert [each["ResourceTypeCount"]["Image"] for each in counts] == [1]
    request = m.JoinResourceGroupRequest(
        region_id=REGION, resource_type="image", resource_id="m-none", resource_group_id="rg-1"
    )
    assert code_of(sdk.join_resource_group, request)[0] == 404
    delete_image(account, image_id)
    assert account.old("DescribeTags", ResourceType="image")["TotalCount"] == 0
