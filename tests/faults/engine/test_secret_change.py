"""A change of the secret that was broken off, and key slots that are damaged while it is under way."""

import pytest

from lamina.engine.objects.faulty import Effect, FaultPlan, FaultyStore
from lamina.engine.objects.store import ObjectExistsError, RequestKind
from lamina.engine.repository import Repository
from lamina.engine.seal.keys import Passphrase, WrongSecretError
from lamina.failures import Corruption, Fault
from tests.factories.repositories import SECRET, make_repository
from tests.faults.engine.operations import NEW_SECRET


def change_half():
    """The new slot is there and the old one could not be removed."""
    repository = make_repository()
    store = FaultyStore(repository.store, FaultPlan(at_call=1, kind=RequestKind.DELETE))
    with pytest.raises(Fault):
        Repository.open(store, SECRET).change_secret(NEW_SECRET)
    assert len(list(repository.store.list("keys/"))) == 2
    return repository


@pytest.mark.parametrize("secret", [SECRET, NEW_SECRET])
def test_both_secrets_open_a_repository_whose_secret_is_half_changed(secret):
    repository = change_half()
    assert Repository.open(repository.store, secret).master == repository.master


def test_a_change_that_was_broken_off_can_be_finished_with_either_secret():
    for secret in (SECRET, NEW_SECRET):
        repository = change_half()
        Repository.open(repository.store, secret).change_secret(NEW_SECRET)
        assert [row.key for row in repository.store.list("keys/")] == ["keys/00000002"]
        with pytest.raises(WrongSecretError):
            Repository.open(repository.store, SECRET)


@pytest.mark.parametrize(("damaged", "secret"), [("keys/00000000", NEW_SECRET), ("keys/00000001", SECRET)])
def test_a_damaged_slot_does_not_hide_a_sound_one(damaged, secret):
    repository = change_half()
    repository.store.put(damaged, b"\0" * 40)
    assert Repository.open(repository.store, secret).master == repository.master


def test_a_secret_that_fits_no_slot_is_refused_and_damage_is_named():
    repository = change_half()
    with pytest.raises(WrongSecretError):
        Repository.open(repository.store, Passphrase("something else"))
    for key in ("keys/00000000", "keys/00000001"):
        repository.store.put(key, b"\0" * 40)
    with pytest.raises(Corruption):
        Repository.open(repository.store, SECRET)


def test_a_slot_that_the_store_did_not_keep_leaves_the_old_secret_valid():
    repository = make_repository()
    plan = FaultPlan(at_call=1, kind=RequestKind.PUT_NEW, effect=Effect.HALF, error=None)
    with pytest.raises((Corruption, WrongSecretError)):
        Repository.open(FaultyStore(repository.store, plan), SECRET).change_secret(NEW_SECRET)
    assert Repository.open(repository.store, SECRET).master == repository.master


def test_of_two_changes_at_once_one_is_told_so_and_the_repository_opens():
    repository = make_repository()
    first = Repository.open(repository.store, SECRET)

    class OtherFirst(FaultyStore):
        """Lets another change happen between looking and writing."""

        def put_new(self, key, data):
            first.change_secret(Passphrase("the other one"))
            super().put_new(key, data)

    with pytest.raises(ObjectExistsError):
        Repository.open(OtherFirst(repository.store), SECRET).change_secret(NEW_SECRET)
    assert Repository.open(repository.store, Passphrase("the other one")).master == repository.master
