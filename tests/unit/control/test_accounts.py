"""Accounts, access keys, and what protects their secrets."""

import sqlite3

import pytest

from lamina.control.accounts.access_keys import add_access_key, disable_access_key, find_access_key
from lamina.control.accounts.create import create_account
from lamina.control.accounts.errors import AccessKeyNotFoundError, AccountNotFoundError
from lamina.control.accounts.records import AccessKeyRecord
from lamina.control.accounts.standing import set_standing
from lamina.control.accounts.states import AccountStanding
from lamina.control.root_key import RootKey, RootKeyError, Vault, write_private
from lamina.failures import Corruption
from lamina.ids import AccessKeyId, AccountId
from tests.factories.installation import START


@pytest.fixture
def session(site):
    with site.installation.database.transaction() as session:
        yield session


@pytest.fixture
def vault(site):
    return site.installation.vault


def test_a_key_is_found_by_its_id_with_its_secret(site, session, vault):
    account = create_account(session, site.clock, name="ops")
    made = add_access_key(session, vault, site.clock, account.id)
    found = find_access_key(session, vault, made.id)
    assert found == made
    assert (found.account_id, found.is_enabled, found.standing) == (account.id, True, AccountStanding.NORMAL)
    assert len(found.secret) == 30
    assert account.created_at == START
    assert find_access_key(session, vault, AccessKeyId("LTAIunknown")) is None


def test_a_disabled_key_says_so(site, session, vault):
    key = add_access_key(session, vault, site.clock, site.account_id)
    disable_access_key(session, key.id)
    disable_access_key(session, key.id)
    assert not find_access_key(session, vault, key.id).is_enabled


def test_what_is_not_there_is_refused(site, session, vault):
    with pytest.raises(AccessKeyNotFoundError):
        disable_access_key(session, AccessKeyId("LTAIunknown"))
    with pytest.raises(AccountNotFoundError):
        add_access_key(session, vault, site.clock, AccountId("1"))


def test_standing_shows_with_the_key(site, session, vault):
    key = add_access_key(session, vault, site.clock, site.account_id)
    set_standing(session, site.account_id, AccountStanding.SUSPENDED)
    assert find_access_key(session, vault, key.id).standing is AccountStanding.SUSPENDED
    with pytest.raises(AccountNotFoundError):
        set_standing(session, AccountId("1"), AccountStanding.NORMAL)


def test_the_database_alone_gives_no_secret(site, vault):
    with site.installation.database.transaction() as session:
        key = add_access_key(session, vault, site.clock, site.account_id)
    connection = sqlite3.connect(site.installation.directory / "lamina.sqlite")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert key.secret.encode() not in (site.installation.directory / "lamina.sqlite").read_bytes()
    assert key.secret not in repr(key)


def test_a_sealed_secret_opens_only_in_its_own_row_and_with_its_own_root_key(site, session, vault):
    one, two = (add_access_key(session, vault, site.clock, site.account_id) for _ in range(2))
    records = [session.get(AccessKeyRecord, key.id) for key in (one, two)]
    records[0].sealed_secret = records[1].sealed_secret
    session.flush()
    with pytest.raises(Corruption, match=one.id):
        find_access_key(session, vault, one.id)
    with pytest.raises(Corruption):
        find_access_key(session, Vault(RootKey(bytes(32))), two.id)


def test_the_same_secret_is_never_sealed_the_same_way(vault):
    assert vault.seal("secret", owner="a") != vault.seal("secret", owner="a")


def test_derived_keys_differ_by_purpose_and_installation():
    one, two = RootKey(bytes(32)), RootKey(b"\1" * 32)
    assert one.derive("a") == RootKey(bytes(32)).derive("a")
    assert len({one.derive("a"), one.derive("b"), two.derive("a")}) == 3
    assert len(one.derive("a")) == 32
    assert "0" * 8 not in repr(one)


def test_a_root_key_is_made_once_and_private(tmp_path):
    path = tmp_path / "root.key"
    made = RootKey.create(path)
    assert (path.stat().st_size, path.stat().st_mode & 0o777) == (32, 0o600)
    assert RootKey.load(path).derive("x") == made.derive("x")
    path.write_bytes(b"short")
    with pytest.raises(RootKeyError):
        RootKey.load(path)
    path.unlink()
    with pytest.raises(RootKeyError, match=str(path)):
        RootKey.load(path)


def test_a_private_file_replaces_the_old_one_and_the_remains_of_a_crash(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "file"
    (folder / "file.new").write_bytes(b"half")
    write_private(path, b"one")
    write_private(path, b"two")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"two", 0o600)
    assert [each.name for each in folder.iterdir()] == ["file"]
