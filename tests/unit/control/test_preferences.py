"""What an installation is set to, and what follows from it."""

from datetime import timedelta

import pytest

from lamina.control.preferences import (
    PREFERENCES_FILE,
    CallRates,
    Compatibility,
    Preferences,
    read_preferences,
)
from lamina.control.snapshots.errors import SnapshotQuotaError
from lamina.failures import Refusal
from tests.factories.installation import open_site


def write(folder, text):
    folder.mkdir(exist_ok=True)
    (folder / PREFERENCES_FILE).write_text(text)
    return folder


def test_without_a_file_the_faq_counts(tmp_path):
    found = read_preferences(tmp_path)
    assert found == Preferences()
    assert (found.compatibility, found.copy_snapshots) == (Compatibility.FAQ, False)


@pytest.mark.parametrize(
    ("text", "compatibility", "copies", "days"),
    [
        ("", Compatibility.FAQ, False, 180),
        ('compatibility = "faq"', Compatibility.FAQ, False, 180),
        ('compatibility = "2026"', Compatibility.API_2026, True, 180),
        ('compatibility = "2026"\ncopy_snapshots = false', Compatibility.API_2026, False, 180),
        ("copy_snapshots = true\naudit_days = 7", Compatibility.FAQ, True, 7),
    ],
)
def test_what_a_file_may_say(tmp_path, text, compatibility, copies, days):
    found = read_preferences(write(tmp_path, text))
    assert (found.compatibility, found.copy_snapshots) == (compatibility, copies)
    assert found.audit_retention == timedelta(days=days)


@pytest.mark.parametrize(
    "text",
    [
        'compatibility = "2021"',
        'compatible = "faq"',
        "audit_days = 0",
        'audit_days = "all"',
        "compatibility =",
        "[limits]\ncalls_per_second = 0",
        "[limits]\ncalls_per_second = inf",
        "[limits]\nkey_calls_per_second = -1",
        "[limits]\ncalls_per_minute = 1",
        "[limits]\nmanual_snapshots_per_disk = 0",
        "[limits]\nautomatic_snapshots_per_disk = 1.5",
        "\x00",
    ],
)
def test_what_it_may_not_say(tmp_path, text):
    with pytest.raises(Refusal, match=PREFERENCES_FILE):
        read_preferences(write(tmp_path, text))


def test_how_often_may_be_called(tmp_path):
    found = read_preferences(write(tmp_path, "[limits]\ncalls_per_second = 7\nkey_calls_per_second = 0.5"))
    assert found.rates == CallRates(per_action=7, per_key=0.5)
    assert read_preferences(write(tmp_path, "[limits]")).rates == CallRates() == Preferences().rates


def test_verbs_see_it(tmp_path):
    write(tmp_path / "data", 'compatibility = "2026"')
    with open_site(tmp_path) as site, site.scope() as scope:
        assert scope.compatibility is Compatibility.API_2026
        assert scope.limits.may_copy_snapshots


def test_the_quotas_of_snapshots_are_settings_of_the_installation(tmp_path):
    write(tmp_path / "data", "[limits]\nmanual_snapshots_per_disk = 1\nautomatic_snapshots_per_disk = 7")
    with open_site(tmp_path) as site:
        disk_id = site.make_imported(b"x")
        site.make_snapshot(disk_id)
        with pytest.raises(SnapshotQuotaError):
            site.start_snapshot(disk_id)
        assert site.installation.limits.automatic_snapshots_per_disk == 7
