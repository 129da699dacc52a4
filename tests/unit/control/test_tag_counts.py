"""Which tags are in use and how often, against counting all of them one by one."""

import random
from collections import Counter

import pytest

from lamina.control.resources.tag_counts import TagCountFilter, count_tags
from lamina.control.tags.records import ResourceType, TagRecord
from tests.factories.installation import START

KINDS = (ResourceType.DISK, ResourceType.SNAPSHOT, ResourceType.IMAGE)
KEYS = ("env", "team", "zone", "a", "Z", "é", "a b")
VALUES = ("", "1", "10", "2", "b", "B", "ß", "production")


@pytest.fixture
def tags(site):
    """Random tags of the account, and some that are not its own or not here: `(kind, resource, key, value)`."""
    chance = random.Random(7)
    found = {}
    for number in range(60):
        kind = chance.choice(KINDS)
        for key in chance.sample(KEYS, 3):
            found[kind, f"r-{number}", key] = chance.choice(VALUES)
    with site.scope() as scope:
        for at, ((kind, resource_id, key), value) in enumerate(found.items()):
            for account, region, suffix in (
                (scope.account_id, scope.region_id, ""),
                ("somebody else", scope.region_id, "-theirs"),
                (scope.account_id, "elsewhere", "-elsewhere"),
            ):
                if suffix and at % 3:
                    continue
                record = TagRecord(
                    resource_type=kind,
                    resource_id=resource_id + suffix,
                    key=key + suffix,
                    value=value,
                    account_id=account,
                    region_id=region,
                    created_at=START,
                )
                scope.session.add(record)
    return {(kind, resource, key, value) for (kind, resource, key), value in found.items()}


def expect(tags, wanted):
    """Pairs to counts per kind, by looking at every tag."""
    counts = Counter()
    for kind, resource_id, key, value in tags:
        if wanted.resource_type not in (None, kind) or wanted.resource_id not in (None, resource_id):
            continue
        if wanted.tags and (key not in wanted.tags or wanted.tags[key] not in (None, value)):
            continue
        counts[key, value, kind] += 1
    return counts


def collect(site, wanted, size):
    """All pages: the pairs in order, the counts, and the total."""
    pairs, counts, page = [], Counter(), None
    with site.scope() as scope:
        while page is None or page:
            page, total = count_tags(scope, wanted, limit=size, offset=len(pairs))
            assert len(page) <= size
            for tag in page:
                pairs.append((tag.key, tag.value))
                counts.update({(*pairs[-1], kind): count for kind, count in tag.counts.items() if count})
    return pairs, counts, total


@pytest.mark.parametrize(
    "wanted",
    [
        TagCountFilter(),
        TagCountFilter(resource_type=ResourceType.SNAPSHOT),
        TagCountFilter(resource_type=ResourceType.INSTANCE),
        TagCountFilter(tags={"env": None}),
        TagCountFilter(tags={"env": "", "team": "1", "zone": None, "absent": None, "a": "absent"}),
        TagCountFilter(resource_type=ResourceType.DISK, tags={"a b": None}),
        TagCountFilter(resource_id="r-7"),
        TagCountFilter(resource_id="r-7", tags={"env": None, "team": None, "a": None, "Z": None}),
        TagCountFilter(resource_id="absent"),
    ],
    ids=repr,
)
def test_every_tag_is_found_once_and_counted_right(site, tags, wanted):
    pairs, counts, total = collect(site, wanted, size=7)
    expected = expect(tags, wanted)
    assert counts == expected
    assert sorted(pairs) == sorted({(key, value) for key, value, _ in expected})
    assert total == len(pairs) == len(set(pairs))
    assert collect(site, wanted, size=100) == (pairs, counts, total)
