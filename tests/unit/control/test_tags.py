"""Tags (contract c.7)."""

import pytest

from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.control.tags.put import drop_tags, put_tags
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType
from tests.factories.installation import START


@pytest.fixture
def scope(site):
    with site.scope() as scope:
        yield scope


@pytest.mark.parametrize(
    "key", ["", "k" * 129, "aliyun", "Aliyun-x", "acs:x", "ACS:x", "my http://x", "https://"]
)
def test_keys_that_break_the_rules(scope, key):
    with pytest.raises(TagKeyError):
        put_tags(
            scope,
            ResourceType.DISK,
            "d-1",
            {"fine": "x", key: "x"},
            region_id=scope.region_id,
            created_at=START,
        )
    assert list_tags(scope.session, ResourceType.DISK, ["d-1"]) == {"d-1": {}}


@pytest.mark.parametrize("value", ["v" * 129, "see http://x"])
def test_values_that_break_the_rules(scope, value):
    with pytest.raises(TagValueError):
        put_tags(scope, ResourceType.DISK, "d-1", {"key": value}, region_id=scope.region_id, created_at=START)


def test_the_longest_and_shortest_that_are_allowed(scope):
    tags = {"k": "", "k" * 128: "v" * 128, "\u952e": "\u503c"}
    put_tags(scope, ResourceType.DISK, "d-1", tags, region_id=scope.region_id, created_at=START)
    assert list_tags(scope.session, ResourceType.DISK, ["d-1"]) == {"d-1": tags}


def test_an_existing_key_gets_the_new_value_and_does_not_count_twice(scope):
    put_tags(
        scope,
        ResourceType.DISK,
        "d-1",
        {f"key{number}": "old" for number in range(20)},
        region_id=scope.region_id,
        created_at=START,
    )
    put_tags(scope, ResourceType.DISK, "d-1", {"key0": "new"}, region_id=scope.region_id, created_at=START)
    assert list_tags(scope.session, ResourceType.DISK, ["d-1"])["d-1"]["key0"] == "new"
    with pytest.raises(TagQuotaError) as refused:
        put_tags(
            scope,
            ResourceType.DISK,
            "d-1",
            {"key0": "x", "one more": "x"},
            region_id=scope.region_id,
            created_at=START,
        )
    assert refused.value.maximum == 20


def test_kinds_of_resources_are_apart(scope):
    put_tags(scope, ResourceType.DISK, "x", {"a": "1"}, region_id=scope.region_id, created_at=START)
    put_tags(scope, ResourceType.SNAPSHOT, "x", {"b": "2"}, region_id=scope.region_id, created_at=START)
    drop_tags(scope.session, ResourceType.DISK, "x")
    assert list_tags(scope.session, ResourceType.DISK, ["x"]) == {"x": {}}
    assert list_tags(scope.session, ResourceType.SNAPSHOT, ["x"]) == {"x": {"b": "2"}}
