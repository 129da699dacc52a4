"""The folder of an installation: first start, later starts, two at once, what is private."""

import json
import threading

import pytest
from sqlalchemy import func, select

from lamina.clock import ManualClock
from lamina.control.accounts.access_keys import find_access_key
from lamina.control.accounts.records import AccountRecord
from lamina.control.first_start import furnish, read_credentials
from lamina.control.installation import InstallationBusyError, open_installation, open_metadata
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.regions.queries import get_region, get_zone, list_regions, list_zones
from lamina.control.repositories import Place
from lamina.control.root_key import RootKeyError
from lamina.failures import Refusal
from lamina.ids import RegionId
from lamina.settings import Settings
from tests.factories.installation import START, open_site


def opened(folder):
    return open_installation(folder, Settings(cache_dir=folder / "cache"), ManualClock(START))


def test_the_first_start_makes_one_region_one_account_and_one_key(tmp_path):
    with opened(tmp_path) as installation:
        made = furnish(installation, "http://127.0.0.1:8788")
        assert furnish(installation, "http://127.0.0.1:8788") is None
        stored = json.loads((tmp_path / "credentials.json").read_text())
        assert stored == {
            "account_id": made.account_id,
            "access_key_id": made.access_key_id,
            "access_key_secret": made.access_key_secret,
            "endpoint": "http://127.0.0.1:8788",
            "region_id": "cn-hangzhou",
        }
        with installation.database.reading() as session:
            key = find_access_key(session, installation.vault, made.access_key_id)
            assert (key.secret, key.account_id) == (made.access_key_secret, made.account_id)
            (region,) = list_regions(session)
            assert (region.local_name, region.time_zone) == ("China (Hangzhou)", "Asia/Shanghai")
            assert [zone.id for zone in list_zones(session, region.id)] == ["cn-hangzhou-h", "cn-hangzhou-i"]
            with pytest.raises(RegionNotFoundError):
                list_zones(session, RegionId("nowhere"))
    assert made.access_key_secret not in repr(made)


def test_later_starts_change_nothing_but_the_endpoint(tmp_path):
    with opened(tmp_path) as installation:
        made = furnish(installation, "http://127.0.0.1:1")
    with opened(tmp_path) as installation:
        assert furnish(installation, "http://127.0.0.1:2") is None
    again = read_credentials(tmp_path)
    assert (again.endpoint, again.access_key_secret) == ("http://127.0.0.1:2", made.access_key_secret)


def test_a_removed_credentials_file_stays_removed(tmp_path):
    with opened(tmp_path) as installation:
        furnish(installation, "x")
    (tmp_path / "credentials.json").unlink()
    with opened(tmp_path) as installation:
        assert furnish(installation, "x") is None
    assert not (tmp_path / "credentials.json").exists()


def test_a_crash_between_the_file_and_the_rows_is_mended(tmp_path):
    with opened(tmp_path) as installation:
        made = furnish(installation, "x")
    for path in tmp_path.glob("lamina.sqlite*"):
        path.unlink()
    with opened(tmp_path) as installation:
        assert furnish(installation, "x") == made
        with installation.database.reading() as session:
            assert session.scalar(select(func.count()).select_from(AccountRecord)) == 1


def test_two_services_never_run_on_one_folder(tmp_path):
    with opened(tmp_path), pytest.raises(InstallationBusyError), opened(tmp_path):
        pytest.fail("two services share a folder")
    with opened(tmp_path):
        pass


def test_secrets_are_for_the_owner_only(tmp_path):
    folder = tmp_path / "new"
    with opened(folder) as installation:
        furnish(installation, "x")
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("root.key", "credentials.json", "lamina.sqlite", "lamina.sqlite-wal"):
        assert modes[name] == 0o600, name


def test_a_lost_root_key_is_not_replaced_by_a_new_one(tmp_path):
    with opened(tmp_path):
        pass
    (tmp_path / "root.key").unlink()
    with pytest.raises(RootKeyError, match=r"root\.key"), opened(tmp_path):
        pytest.fail("an installation without its key was opened")
    assert not (tmp_path / "root.key").exists()


def test_a_folder_that_cannot_be_used_is_refused(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Refusal, match="file"), opened(tmp_path / "file" / "below"):
        pytest.fail("a file was used as a folder")


def test_damaged_credentials_are_refused_and_kept(tmp_path):
    (tmp_path / "credentials.json").write_text("{}")
    with opened(tmp_path) as installation, pytest.raises(Refusal, match=r"credentials\.json"):
        furnish(installation, "x")
    assert (tmp_path / "credentials.json").read_text() == "{}"


def test_accounts_can_be_reached_while_the_service_runs(tmp_path):
    with pytest.raises(Refusal, match="lamina serve"), open_metadata(tmp_path):
        pytest.fail("there is nothing")
    with opened(tmp_path) as installation:
        made = furnish(installation, "x")
        with open_metadata(tmp_path) as (database, vault), database.reading() as session:
            assert find_access_key(session, vault, made.access_key_id).secret == made.access_key_secret


def test_zones_and_regions_are_found(site):
    with site.scope() as scope:
        assert get_zone(scope.session, scope.region_id, "cn-hangzhou-i").region_id == "cn-hangzhou"
        assert get_region(scope.session, scope.region_id).store == "store/cn-hangzhou"


def test_repositories_are_made_at_the_first_need_and_kept_open(site):
    repositories, region = site.installation.repositories, RegionId("cn-hangzhou")
    assert repositories.find(site.account_id, region) is None
    assert repositories.list_places(region) == []
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(repositories.ensure(site.account_id, region)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    assert repositories.find(site.account_id, region) is found[0]
    assert repositories.list_places(region) == [Place(account_id=site.account_id, region_id=region)]
    assert repositories.locate(site.account_id, region).endswith(f"/store/cn-hangzhou/{site.account_id}")


def test_a_reopened_installation_reads_its_repositories(tmp_path):
    with open_site(tmp_path) as site:
        snapshot_id = site.make_snapshot(site.make_imported(b"x"))
    with open_site(tmp_path) as site:
        assert site.list_stored() == [snapshot_id]


def test_accounts_have_repositories_of_their_own(site):
    other = site.as_another_account()
    mine = site.make_snapshot(site.make_imported(b"same bytes"))
    theirs = other.make_snapshot(other.make_imported(b"same bytes"))
    assert (site.list_stored(), other.list_stored()) == ([mine], [theirs])
