"""Keys of accounts: states, quotas, and whose they are."""

from dataclasses import replace
from datetime import timedelta

import pytest

from lamina.control.keys.create import create_key, ensure_service_key
from lamina.control.keys.errors import (
    KeyDeletionDueError,
    KeyNotEnabledError,
    KeyNotFoundError,
    KeyQuotaError,
    KeyStateError,
    ServiceKeyError,
)
from lamina.control.keys.modify import cancel_deletion, disable_key, enable_key, schedule_deletion
from lamina.control.keys.queries import find_usable_key, get_key, list_keys, require_enabled
from lamina.control.keys.states import KeyState
from lamina.control.paging import Slice


def make_key(site, **options):
    with site.scope() as scope:
        return create_key(scope, **options).id


def state_of(site, key_id):
    with site.scope() as scope:
        return get_key(scope, key_id).state


def test_a_key_is_disabled_and_enabled(site):
    key_id = make_key(site, description="for the database")
    with site.scope() as scope:
        disable_key(scope, key_id)
        disable_key(scope, key_id)
        with pytest.raises(KeyNotEnabledError, match="enable it"):
            find_usable_key(scope, key_id)
        with pytest.raises(KeyNotEnabledError):
            require_enabled(scope.session, key_id)
        enable_key(scope, key_id)
        enable_key(scope, key_id)
        assert find_usable_key(scope, key_id).description == "for the database"
        require_enabled(scope.session, key_id)
        require_enabled(scope.session, None)


def test_a_deletion_waits_and_can_be_cancelled(site):
    key_id = make_key(site)
    with site.scope() as scope:
        schedule_deletion(scope, key_id, 7)
        for refused in (enable_key, disable_key, lambda *given: schedule_deletion(*given, 8)):
            with pytest.raises(KeyStateError):
                refused(scope, key_id)
        with pytest.raises(KeyNotEnabledError, match="cancel its deletion"):
            find_usable_key(scope, key_id)
    site.clock.advance(timedelta(days=6))
    with site.scope() as scope:
        cancel_deletion(scope, key_id)
        with pytest.raises(KeyStateError):
            cancel_deletion(scope, key_id)
    assert state_of(site, key_id) is KeyState.ENABLED
    with site.scope() as scope:
        schedule_deletion(scope, key_id, 7)
    site.clock.advance(timedelta(days=7))
    with site.scope() as scope, pytest.raises(KeyDeletionDueError):
        cancel_deletion(scope, key_id)


def test_the_services_key_is_one_and_stays(site):
    with site.scope() as scope:
        key_id = ensure_service_key(scope).id
        assert ensure_service_key(scope).id == key_id
        assert find_usable_key(scope, key_id).id == key_id
        for refused in (enable_key, disable_key, lambda *given: schedule_deletion(*given, 7)):
            with pytest.raises(ServiceKeyError):
                refused(scope, key_id)


def test_keys_of_other_accounts_do_not_exist(site):
    key_id = make_key(site)
    with site.as_another_account().scope() as scope:
        assert list_keys(scope, Slice(limit=10)).items == ()
        for refused in (get_key, find_usable_key, enable_key, disable_key, cancel_deletion):
            with pytest.raises(KeyNotFoundError):
                refused(scope, key_id)


def test_there_is_a_quota(site):
    with site.scope() as usual:
        scope = replace(usual, limits=replace(usual.limits, keys_per_region=2))
        ensure_service_key(scope)
        made = {create_key(scope).id, create_key(scope).id}
        with pytest.raises(KeyQuotaError):
            create_key(scope)
        assert made < {key.id for key in list_keys(scope, Slice(limit=10)).items}
