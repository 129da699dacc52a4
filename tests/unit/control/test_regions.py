"""Regions that `lamina.toml` declares."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from lamina.control.buckets.create import create_bucket
from lamina.control.first_start import furnish
from lamina.control.images.queries import BUILT_IN_ID, find_visible_image
from lamina.control.policies.create import NewPolicy, create_policy
from lamina.control.policies.queries import get_policy
from lamina.control.policies.schedule import Timetable
from lamina.control.preferences import PREFERENCES_FILE, read_preferences
from lamina.control.regions.errors import RegionInUseError, RegionNotFoundError
from lamina.control.regions.places import locate
from lamina.control.regions.queries import get_region, list_regions, list_zones
from lamina.control.repositories import Place
from lamina.failures import Refusal
from lamina.ids import RegionId
from lamina.settings import Settings
from tests.factories.installation import open_site

BEIJING = RegionId("cn-beijing")
KEYS = {"LAMINA_S3_FAR_AWAY_ACCESS_KEY_ID": "id", "LAMINA_S3_FAR_AWAY_SECRET_ACCESS_KEY": "secret"}


def write(folder, text):
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / PREFERENCES_FILE).write_text(text)


def declare(*lines):
    return "\n".join(["[regions.cn-beijing]", *lines])


def read_rows(site):
    with site.installation.database.reading() as session:
        return {
            row.id: (
                row.local_name,
                row.store,
                row.buckets,
                row.time_zone,
                {zone.id: zone.local_name for zone in list_zones(session, row.id)},
            )
            for row in list_regions(session)
        }


def test_a_region_of_the_file_is_made_with_an_image_and_brought_up_to_date(tmp_path):
    write(tmp_path, declare())
    with open_site(tmp_path) as site:
        rows = read_rows(site)
        assert set(rows) == {"cn-beijing", "cn-hangzhou"}
        assert rows[BEIJING] == (
            "cn-beijing",
            "store/cn-beijing",
            "buckets/cn-beijing",
            "UTC",
            {"cn-beijing-a": "Zone A"},
        )
        with site.scope(region_id=BEIJING) as scope:
            assert find_visible_image(scope, BUILT_IN_ID).region_id == BEIJING
    write(
        tmp_path,
        declare(
            'local_name = "Beijing"',
            'buckets = "elsewhere"',
            'time_zone = "Asia/Shanghai"',
            'zones = { cn-beijing-a = "A", cn-beijing-b = "B" }',
        ),
    )
    with open_site(tmp_path) as site:
        zones = {"cn-beijing-a": "A", "cn-beijing-b": "B"}
        expected = ("Beijing", "store/cn-beijing", "elsewhere", "Asia/Shanghai", zones)
        assert read_rows(site)[BEIJING] == expected
    write(tmp_path, declare('zones = ["cn-beijing-c"]'))
    with open_site(tmp_path) as site:
        local_name, _, buckets, time_zone, zones = read_rows(site)[BEIJING]
        assert (local_name, buckets, time_zone) == ("Beijing", "buckets/cn-beijing", "Asia/Shanghai")
        assert set(zones) == {"cn-beijing-a", "cn-beijing-b", "cn-beijing-c"}


def test_the_first_region_can_be_declared_too_and_keeps_what_the_file_does_not_say(tmp_path):
    write(tmp_path, '[regions.cn-hangzhou]\nstore = "elsewhere"')
    with open_site(tmp_path) as site:
        [(local_name, store, _, time_zone, zones)] = read_rows(site).values()
        assert (local_name, store, time_zone) == ("China (Hangzhou)", "elsewhere", "Asia/Shanghai")
        assert set(zones) == {"cn-hangzhou-h", "cn-hangzhou-i"}
        site.make_snapshot(site.make_imported(b"data"))
        assert (tmp_path / "data" / "elsewhere" / site.account_id).is_dir()
        assert not (tmp_path / "data" / "store").exists()


def test_a_region_without_the_file_stays(tmp_path):
    with open_site(tmp_path) as site:
        before = read_rows(site)
    write(tmp_path, "audit_days = 7")
    with open_site(tmp_path) as site:
        assert read_rows(site) == before


def test_a_store_moves_only_while_its_region_has_nothing(tmp_path):
    write(tmp_path, declare())
    with open_site(tmp_path):
        pass
    write(tmp_path, declare('store = "second"'))
    with open_site(tmp_path) as site:
        assert read_rows(site)[BEIJING][1] == "second"
    (tmp_path / "data" / "second").mkdir()
    write(tmp_path, declare('store = "third"'))
    with open_site(tmp_path):
        pass  # there was nothing in it
    folder = tmp_path / "data" / "third" / "1000000000000000" / "keys"
    folder.mkdir(parents=True)
    (folder / "00000000").write_bytes(b"a slot")
    write(tmp_path, declare('store = "fourth"', 'local_name = "new"'))
    with pytest.raises(RegionInUseError, match=r"third is not empty.*store = 'third'"), open_site(tmp_path):
        pass
    write(tmp_path, declare('store = "third"'))
    with open_site(tmp_path) as site:
        assert read_rows(site)[BEIJING][:2] == ("cn-beijing", "third")


@pytest.mark.parametrize("text", [declare('store = "second"'), ""])
def test_a_region_with_rows_is_neither_moved_nor_left_out(tmp_path, text):
    write(tmp_path, declare())
    with open_site(tmp_path) as site, site.scope(region_id=BEIJING) as scope:
        create_policy(scope, NewPolicy(timetable=Timetable.of([1], [1]), retention_days=1))
    write(tmp_path, text)
    with pytest.raises(RegionInUseError, match="there are policies in it"), open_site(tmp_path):
        pass
    write(tmp_path, declare())
    with open_site(tmp_path) as site:
        assert read_rows(site)[BEIJING][1] == "store/cn-beijing"


def test_a_bucket_service_moves_only_while_it_has_no_buckets(tmp_path):
    write(tmp_path, declare())
    with open_site(tmp_path) as site:
        service = site.installation.buckets.service(BEIJING)
        create_bucket(lambda: site.scope(region_id=BEIJING), service, "images")
    write(tmp_path, declare('buckets = "second"'))
    with pytest.raises(RegionInUseError, match="there are buckets in it"), open_site(tmp_path):
        pass


def test_an_empty_region_that_is_left_out_is_gone(tmp_path):
    write(tmp_path, declare())
    with open_site(tmp_path):
        pass
    write(tmp_path, "")
    with open_site(tmp_path) as site:
        assert set(read_rows(site)) == {"cn-hangzhou"}
        with site.scope() as scope, pytest.raises(RegionNotFoundError):
            get_region(scope.session, BEIJING)
    write(tmp_path, declare())
    with open_site(tmp_path) as site:
        assert BEIJING in read_rows(site)


def test_policies_follow_a_new_time_zone(tmp_path):
    write(tmp_path, declare('time_zone = "UTC"'))
    with open_site(tmp_path) as site, site.scope(region_id=BEIJING) as scope:
        timetable = Timetable.of([3], range(1, 8))
        policy_id = create_policy(scope, NewPolicy(timetable=timetable, retention_days=1)).id
    write(tmp_path, declare('time_zone = "Asia/Shanghai"'))
    with open_site(tmp_path) as site, site.scope(region_id=BEIJING) as scope:
        found = get_policy(scope, policy_id).next_run_at
        assert found.astimezone(ZoneInfo("Asia/Shanghai")).hour == 3
        assert timedelta(0) < found - site.clock.now() <= timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[regions.Beijing]", "cannot name a region"),
        (declare('time_zone = "Mars/Base"'), "unknown here"),
        (declare('time_zone = "../x"'), "unknown here"),
        (declare('zones = ["A zone"]'), "cannot name a zone"),
        (declare('zones = ["one"]', "[regions.eu]", 'zones = ["one"]'), "both have a zone"),
        (declare('zones = ["cn-hangzhou-h"]'), "which region cn-hangzhou has"),
        (declare('store = ""'), "is no place"),
        (declare('shop = "x"'), "unknown field"),
        (declare('s3 = { secret_access_key = "x" }'), "unknown field"),
        (declare('s3 = { credentials = "a b" }'), "cannot be named so"),
        (declare('s3 = { credentials = "paris" }'), "set LAMINA_S3_PARIS_ACCESS_KEY_ID"),
        (declare('store = "s3://bucket/x"'), "needs credentials"),
        (declare('store = "gs://bucket/x"', 's3 = { credentials = "far-away" }'), "is not a place"),
        (declare('store = "file://host/x"'), "another machine"),
        (declare('store = "store/cn-hangzhou/beijing"'), "within that of region"),
        (declare('store = "store/../buckets/../store/cn-hangzhou"'), "within that of region"),
    ],
)
def test_what_cannot_be_declared(tmp_path, text, complaint):
    with open_site(tmp_path):
        pass
    write(tmp_path, text)
    with (
        pytest.raises(Refusal, match=complaint),
        open_site(tmp_path, settings=Settings.from_environment(KEYS)),
    ):
        pass
    write(tmp_path, "")
    with open_site(tmp_path) as site:
        assert set(read_rows(site)) == {"cn-hangzhou"}


def test_two_regions_do_not_share_a_store_by_way_of_a_link(tmp_path):
    with open_site(tmp_path):
        pass
    (tmp_path / "data" / "store").mkdir(exist_ok=True)
    (tmp_path / "data" / "store" / "cn-beijing").symlink_to("cn-hangzhou")
    write(tmp_path, declare())
    with pytest.raises(Refusal, match="within that of region"), open_site(tmp_path):
        pass


def test_a_region_has_s3_settings_of_its_own(tmp_path):
    write(
        tmp_path,
        declare(
            'store = "s3://bucket/x"',
            's3 = { endpoint = "http://far:1", region = "far-1", credentials = "far-away", virtual_hosted = true }',
        ),
    )
    preferences = read_preferences(tmp_path / "data")
    common = Settings.from_environment({**KEYS, "AWS_ACCESS_KEY_ID": "x", "AWS_SESSION_TOKEN": "t"})
    found = preferences.choose_settings(BEIJING, common)
    assert (found.s3_endpoint, found.s3_region, found.s3_virtual_hosted) == ("http://far:1", "far-1", True)
    assert (found.s3_access_key_id, found.s3_secret_access_key, found.s3_session_token) == (
        "id",
        "secret",
        None,
    )
    assert preferences.choose_settings(RegionId("other"), common) is common
    assert "secret" not in repr(common)


def test_half_of_a_pair_of_keys_is_refused():
    with pytest.raises(Refusal, match="without LAMINA_S3_X_SECRET_ACCESS_KEY"):
        Settings.from_environment({"LAMINA_S3_X_ACCESS_KEY_ID": "id"})


def test_places(tmp_path):
    assert locate(tmp_path, "store/x") == f"{tmp_path}/store/x"
    assert locate(tmp_path, "/srv/x/") == "/srv/x"
    assert locate(tmp_path, "file:///srv/a%20b") == "/srv/a b"
    assert locate(tmp_path, "s3://bucket/x/") == "s3://bucket/x"


def test_a_file_url_is_a_folder(tmp_path):
    write(tmp_path, f'[regions.cn-hangzhou]\nstore = "file://{tmp_path}/far"')
    with open_site(tmp_path) as site:
        snapshot_id = site.make_snapshot(site.make_imported(b"data"))
        assert (tmp_path / "far" / site.account_id).is_dir()
        assert site.list_stored() == [snapshot_id]
        assert site.installation.repositories.list_places(RegionId("cn-hangzhou")) == [
            Place(account_id=site.account_id, region_id=RegionId("cn-hangzhou"))
        ]
        furnish(site.installation)
        assert site.list_stored() == [snapshot_id]
