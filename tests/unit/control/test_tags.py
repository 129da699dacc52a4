"""Tags (contract c.7)."""

from dataclasses import dataclass
from datetime import datetime

import pytest

from lamina.control.first_start import DEFAULT_REGION
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.control.tags.put import drop_tags, put_tags
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import RegionId
from tests.factories.installation import START


@dataclass(frozen=True)
class Resource:
    """What the tags are put on; nobody asks whether it exists."""

    id: str
    region_id: RegionId = DEFAULT_REGION.id
    created_at: datetime = START


@pytest.fixture
def scope(site):
    with site.scope() as scope:
        yield scope


@pytest.mark.parametrize(
    "key", ["", "k" * 129, "aliyun", "Aliyun-x", "acs:x", "ACS:x", "my http://x", "https://"]
)
def test_keys_that_break_the_rules(scope, key):
    with pytest.raises(TagKeyError):
        put_tags(scope, ResourceType.DISK, Resource("d-1"), {"fine": "x", key: "x"})
    assert list_tags(scope.session, ResourceType.DISK, ["d-1"]) == {"d-1": {}}


@pytest.mark.parametrize("value", ["v" * 129, "see http://x"])
def test_values_that_break_the_rules(scope, value):
    with pytest.raises(TagValueError):
        put_tags(scope, ResourceType.DISK, Resource("d-1"), {"key": value})


def test_the_longest_and_shortest_that_are_allowed(scope):
    tags = {"k": "", "k" * 128: "v" * 128, "\u952e": "\u503c"}
    put_tags(scope, ResourceType.DISK, Resource("d-1"), tags)
    assert list_tags(scope.session, ResourceType.DISK, ["d-1"]) == {"d-1": tags}


def test_an_existing_key_gets_the_new_value_and_does_not_count_twice(scope):
    put_tags(scope, ResourceType.DISK, Resource("d-1"), {f"key{number}": "old" for number in range(20)})
    put_tags(scope, ResourceType.DISK, Resource("d-1"), {"key0": "new"})
    assert list_tags(scope.session, ResourceType.DISK, ["d-1"])["d-1"]["key0"] == "new"
    with pytest.raises(TagQuotaError) as refused:
        put_tags(scope, ResourceType.DISK, Resource("d-1"), {"key0": "x", "one more": "x"})
    assert refused.value.maximum == 20


def test_kinds_of_resources_are_apart(scope):
    put_tags(scope, ResourceType.DISK, Resource("x"), {"a": "1"})
    put_tags(scope, ResourceType.SNAPSHOT, Resource("x"), {"b": "2"})
    drop_tags(scope.session, ResourceType.DISK, "x")
    assert list_tags(scope.session, ResourceType.DISK, ["x"]) == {"x": {}}
    assert list_tags(scope.session, ResourceType.SNAPSHOT, ["x"]) == {"x": {"b": "2"}}
