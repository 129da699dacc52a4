"""Tags of every kind of resource, through the official clients."""

import pytest
from alibabacloud_ecs20140526 import models as m
from alibabacloud_tea_openapi.exceptions import ClientException

from tests.conformance.conftest import REGION, wait_until
from tests.factories.raw_calls import RawCaller


@pytest.fixture
def sdk(account):
    return account.new_sdk()


@pytest.fixture
def disk(account):
    return account.make_disk()


def code_of(call, *arguments):
    with pytest.raises(ClientException) as refused:
        call(*arguments)
    return refused.value.status_code, refused.value.code


@pytest.fixture
def raw(account):
    caller = RawCaller(account.service.host, account.access_key_id, account.secret)
    yield caller
    caller.close()


def put(sdk, ids, tags, kind="disk"):
    given = [m.TagResourcesRequestTag(key=key, value=value) for key, value in tags.items()]
    request = m.TagResourcesRequest(region_id=REGION, resource_type=kind, resource_id=list(ids), tag=given)
    return sdk.tag_resources(request)


def find(sdk, *, kind="disk", ids=None, tags=None, fuzzy=None, token=None):
    request = m.ListTagResourcesRequest(
        region_id=REGION,
        resource_type=kind,
        resource_id=ids,
        tag=[m.ListTagResourcesRequestTag(key=key, value=value) for key, value in tags.items()]
        if tags
        else None,
        tag_filter=[
            m.ListTagResourcesRequestTagFilter(tag_key=key, tag_values=values)
            for key, values in fuzzy.items()
        ]
        if fuzzy
        else None,
        next_token=token,
    )
    return sdk.list_tag_resources(request).body


def show(body):
    return {(found.resource_id, found.tag_key): found.tag_value for found in body.tag_resources.tag_resource}


def test_tags_are_put_listed_and_removed(sdk, disk):
    put(sdk, [disk], {"env": "prod", "empty": ""})
    put(sdk, [disk], {"env": "test"})
    assert show(find(sdk, ids=[disk])) == {(disk, "env"): "test", (disk, "empty"): ""}
    sdk.untag_resources(
        m.UntagResourcesRequest(
            region_id=REGION, resource_type="disk", resource_id=[disk], tag_key=["env", "unknown"]
        )
    )
    assert show(find(sdk, ids=[disk])) == {(disk, "empty"): ""}
    sdk.untag_resources(
        m.UntagResourcesRequest(region_id=REGION, resource_type="disk", resource_id=[disk], all=True)
    )
    assert show(find(sdk, ids=[disk])) == {}


def test_tags_show_with_the_resource_and_filter_it(account, sdk, disk):
    account.write(disk, b"x" * 4096)
    snapshot = account.make_snapshot(disk)
    put(sdk, [disk], {"env": "prod"})
    put(sdk, [snapshot], {"env": "prod"}, kind="snapshot")
    assert account.describe("Disk", disk)["Tags"]["Tag"] == [{"TagKey": "env", "TagValue": "prod"}]
    by_tag = m.DescribeSnapshotsRequest(
        region_id=REGION, tag=[m.DescribeSnapshotsRequestTag(key="env", value="prod")]
    )
    assert [each.snapshot_id for each in sdk.describe_snapshots(by_tag).body.snapshots.snapshot] == [snapshot]
    assert show(find(sdk, kind="snapshot", tags={"env": "prod"})) == {(snapshot, "env"): "prod"}


def test_every_condition_must_be_met(account, sdk):
    both, one, other = (account.make_disk() for _ in range(3))
    put(sdk, [both, one], {"env": "prod"})
    put(sdk, [both, other], {"team": "db"})
    assert {key[0] for key in show(find(sdk, tags={"env": None}))} == {both, one}
    assert {key[0] for key in show(find(sdk, tags={"env": "prod", "team": "db"}))} == {both}
    assert show(find(sdk, tags={"env": "prod"}, ids=[other])) == {}
    # all tags of a resource that matches are shown
    assert show(find(sdk, tags={"team": "db"}, ids=[both])) == {(both, "env"): "prod", (both, "team"): "db"}


@pytest.mark.parametrize(
    ("fuzzy", "matches"),
    [
        ({"environment": []}, True),
        ({"env*": []}, True),
        ({"*iron*": []}, True),
        ({"ENV*": []}, False),
        ({"env": []}, False),
        ({"environment": ["prod"]}, False),
        ({"environment": ["nothing", "prod*"]}, True),
        ({"environment": ["*duct*"]}, True),
        ({"environment": ["*DUCT*"]}, False),
        ({"environment": ["product"], "te*": []}, True),
        ({"environment": ["product"], "no*": []}, False),
        ({"*": []}, True),
        ({"100%*": []}, False),
    ],
)
def test_fuzzy_filters(account, disk, fuzzy, matches):
    sdk = account.new_sdk()
    put(sdk, [disk], {"environment": "product", "team": "db"})
    assert bool(show(find(sdk, fuzzy=fuzzy))) is matches


def test_long_lists_come_in_pages_of_fifty(account, sdk):
    ids = [account.make_disk() for _ in range(3)]
    put(sdk, ids, {f"key-{number:02}": "v" for number in range(20)})
    first = find(sdk, ids=ids)
    second = find(sdk, ids=ids, token=first.next_token)
    assert (len(first.tag_resources.tag_resource), len(second.tag_resources.tag_resource)) == (50, 10)
    assert (len({**show(first), **show(second)}), second.next_token) == (60, "")
    by_tag = find(sdk, tags={"key-00": "v"})
    rest = find(sdk, tags={"key-00": "v"}, token=by_tag.next_token)
    assert show(by_tag) | show(rest) == show(first) | show(second)
    assert (len(rest.tag_resources.tag_resource), rest.next_token) == (10, "")
    with pytest.raises(ClientException) as refused:
        find(sdk, ids=ids[:2], token=first.next_token)
    assert refused.value.code == "InvalidParameter.NextToken"


def test_all_or_nothing(account, sdk, disk):
    missing = code_of(put, sdk, [disk, "d-nothing"], {"k": "v"})
    assert missing == (404, "InvalidResourceId.NotFound")
    full = account.make_disk()
    put(sdk, [full], {f"key-{number}": "v" for number in range(20)})
    assert code_of(put, sdk, [disk, full], {"one more": "v"}) == (403, "QuotaExceed.Tags")
    assert show(find(sdk, ids=[disk])) == {}


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"ResourceType": "ship"}, (404, "InvalidResourceType.NotFound")),
        ({"ResourceType": "image"}, (404, "InvalidResourceId.NotFound")),
        ({"ResourceType": None}, (404, "MissingParameter.ResourceType")),
        ({"RegionId": None}, (404, "MissingParameter.RegionId")),
        ({"RegionId": "cn-nowhere"}, (404, "InvalidRegionId.NotFound")),
        ({"ResourceId.1": None}, (400, "MissingParameter")),
        ({f"ResourceId.{number}": "d-x" for number in range(1, 52)}, (400, "NumberExceed.ResourceIds")),
        ({"Tag.1.Key": None}, (404, "MissingParameter.Tags")),
        ({f"Tag.{number}.Key": f"k{number}" for number in range(1, 22)}, (400, "NumberExceed.Tags")),
        ({"Tag.1.Key": "", "Tag.1.Value": "v"}, (400, "InvalidTagKey.Malformed")),
        ({"Tag.1.Key": "acs:k"}, (400, "InvalidTagKey.Malformed")),
        ({"Tag.1.Key": "k" * 129}, (400, "InvalidTagKey.Malformed")),
        ({"Tag.1.Value": "http://x"}, (400, "InvalidTagValue.Malformed")),
        ({"Tag.2.Key": "k"}, (400, "Duplicate.TagKey")),
    ],
)
def test_what_tag_resources_refuses(raw, changes, answer):
    given = {"RegionId": REGION, "ResourceType": "disk", "ResourceId.1": "d-x", "Tag.1.Key": "k", **changes}
    assert raw.call("TagResources", given).outcome == answer


@pytest.mark.parametrize(
    ("action", "changes", "answer"),
    [
        ("UntagResources", {}, (404, "MissingParameter.Tags")),
        ("UntagResources", {"TagKey.1": "k", "TagKey.2": "k"}, (400, "Duplicate.TagKey")),
        ("UntagResources", {"All": "true"}, (404, "InvalidResourceId.NotFound")),
        (
            "UntagResources",
            {f"TagKey.{number}": str(number) for number in range(1, 22)},
            (400, "NumberExceed.Tags"),
        ),
        ("ListTagResources", {"ResourceId.1": None}, (404, "MissingParameter.Tags")),
        ("ListTagResources", {"Tag.1.Value": "v"}, (400, "InvalidTag.Mismatch")),
        ("ListTagResources", {"Tag.1.Key": "k", "TagFilter.1.TagKey": "k"}, (400, "InvalidTag.Mismatch")),
        (
            "ListTagResources",
            {"TagFilter.1.TagKey": "k*", "TagFilter.1.TagValues.1": "v"},
            (400, "InvalidTag.Mismatch"),
        ),
        ("ListTagResources", {"NextToken": "forged"}, (400, "InvalidParameter.NextToken")),
        ("AddTags", {"ResourceId": "d-x"}, (400, "InvalidTagCount")),
        ("AddTags", {"ResourceId": "d-x", "Tag.1.Key": "k"}, (404, "InvalidResourceId.NotFound")),
        ("RemoveTags", {"ResourceId": "d-x"}, (400, "InvalidTagCount")),
        ("RemoveTags", {"ResourceId": "d-x", "Tag.1.Key": "k"}, (404, "InvalidResourceId.NotFound")),
        ("RemoveTags", {"ResourceId": "d-x", "ResourceType": "ship"}, (400, "InvalidResourceType.NotFound")),
        ("DescribeTags", {"ResourceType": "ship"}, (404, "InvalidResourceType.NotFound")),
    ],
)
def test_what_the_other_actions_refuse(raw, action, changes, answer):
    given = {"RegionId": REGION, "ResourceType": "disk", "ResourceId.1": "d-x", **changes}
    assert raw.call(action, given).outcome == answer


def test_the_older_actions_do_the_same(account, raw, disk):
    sdk = account.new_sdk()
    sdk.add_tags(
        m.AddTagsRequest(
            region_id=REGION,
            resource_type="disk",
            resource_id=disk,
            tag=[m.AddTagsRequestTag(key="a", value="1"), m.AddTagsRequestTag(key="b", value="2")],
        )
    )
    remove = m.RemoveTagsRequest(
        region_id=REGION,
        resource_type="disk",
        resource_id=disk,
        tag=[m.RemoveTagsRequestTag(key="a", value="other"), m.RemoveTagsRequestTag(key="b")],
    )
    sdk.remove_tags(remove)
    assert show(find(sdk, ids=[disk])) == {(disk, "a"): "1"}
    full = {f"Tag.{number}.Key": f"key-{number}" for number in range(1, 21)}
    given = {"RegionId": REGION, "ResourceType": "disk", "ResourceId": disk, **full}
    assert raw.call("AddTags", given).outcome == (400, "OperationDenied.QuotaExceed")


def test_tags_in_use_are_counted(account, sdk):
    one, two = account.make_disk(b"x" * 4096), account.make_disk()
    snapshot = account.make_snapshot(one, Tag=[{"Key": "env", "Value": "prod"}])
    put(sdk, [one, two], {"env": "prod"})
    put(sdk, [two], {"env": "test", "team": "db"})

    def ask(**filters):
        body = sdk.describe_tags(m.DescribeTagsRequest(region_id=REGION, **filters)).body
        shown = [
            (tag.tag_key, tag.tag_value, tag.resource_type_count.disk, tag.resource_type_count.snapshot)
            for tag in body.tags.tag
        ]
        return body.total_count, shown

    assert ask() == (3, [("env", "prod", 1, 1), ("env", "test", 1, 0), ("team", "db", 1, 0)])
    assert ask(page_size=1, page_number=2) == (3, [("env", "test", 1, 0)])
    assert ask(resource_type="snapshot", resource_id=snapshot) == (1, [("env", "prod", 0, 1)])
    assert ask(tag=[m.DescribeTagsRequestTag(key="team")]) == (1, [("team", "db", 1, 0)])
    assert ask(tag=[m.DescribeTagsRequestTag(key="env", value="none")]) == (0, [])
    assert ask(resource_type="image") == (0, [])
    found = account.old("DescribeTags", ResourceType="disk", ResourceId=two)
    assert (found["PageSize"], found["TotalCount"]) == (50, 2)


def test_tags_end_with_their_resource(account, sdk, disk):
    put(sdk, [disk], {"env": "prod"})
    sdk.delete_disk(m.DeleteDiskRequest(disk_id=disk))
    assert show(find(sdk, tags={"env": "prod"})) == {}
    request = m.DescribeTagsRequest(region_id=REGION)
    wait_until(lambda: sdk.describe_tags(request).body.total_count, lambda count: count == 0)
    assert code_of(put, sdk, [disk], {"env": "prod"}) == (404, "InvalidResourceId.NotFound")


def test_there_are_no_resource_groups_to_join(raw, disk):
    join = {"RegionId": REGION, "ResourceType": "disk", "ResourceId": disk, "ResourceGroupId": "rg-1"}
    assert raw.call("JoinResourceGroup", join).outcome == (404, "InvalidResourceGroup.NotFound")
    unknown = raw.call("JoinResourceGroup", {**join, "ResourceId": "d-nothing"})
    assert unknown.outcome == (404, "InvalidResourceId.NotFound")
    assert raw.call("JoinResourceGroup", {**join, "ResourceGroupId": None}).outcome == (
        403,
        "MissingParameter",
    )
