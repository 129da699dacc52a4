"""Condemned lists: what sweeps are about to remove, and who they wait for (docs/format.md §5).

A list may say that its packs are damaged: a verification wrote it, and captures store anew what lies in them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from lamina.engine.format import KIND_CONDEMNED, KIND_WITNESSES, PackId, SessionId, parse_pack_key
from lamina.engine.objects.store import ObjectMissingError, ObjectStore
from lamina.engine.seal.encryption import ObjectCipher
from lamina.failures import Corruption

CONDEMNED: Final = "condemned/"
_WITNESSES: Final = ".sessions"
_Body = TypeVar("_Body")


class _ListBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    packs: list[str]
    manifests: list[str]
    damaged: bool = False


class _WitnessBody(msgspec.Struct, frozen=True, kw_only=True):
    sessions: list[SessionId]


@dataclass(frozen=True, slots=True, kw_only=True)
class CondemnedList:
    """One list.

    Attributes:
        sweep: the sweep that wrote it.
        pack_keys: object keys of packs.
        manifest_keys: object keys of manifests.
        witnesses: the sessions that ran when it became visible; None when that was never written down.
        is_damaged: its packs are listed because they are damaged; snapshots may still need what is sound in them.
    """

    sweep: SessionId
    pack_keys: frozenset[str]
    manifest_keys: frozenset[str]
    witnesses: frozenset[SessionId] | None
    is_damaged: bool = False

    def is_mature(self, running: Iterable[SessionId]) -> bool:
        """Whether every session that could have relied on what is listed has ended."""
        return self.witnesses is not None and self.witnesses.isdisjoint(running)


@dataclass(frozen=True, slots=True)
class Condemned:
    """Everything that is condemned at one moment.

    Attributes:
        lists: the lists.
        orphans: object keys of witness lists whose condemned list is gone: a slow sweep wrote them too late.
    """

    lists: tuple[CondemnedList, ...]
    orphans: tuple[str, ...]

    @property
    def keys(self) -> frozenset[str]:
        """All object keys on all lists."""
        return frozenset().union(*(item.pack_keys | item.manifest_keys for item in self.lists))

    @property
    def damaged_lists(self) -> frozenset[SessionId]:
        """The names of the lists of damaged packs."""
        return frozenset(item.sweep for item in self.lists if item.is_damaged)

    @property
    def damaged_keys(self) -> frozenset[str]:
        """The object keys of packs that are listed because they are damaged."""
        return frozenset().union(*(item.pack_keys for item in self.lists if item.is_damaged))

    def packs(self, kind: bytes) -> frozenset[PackId]:
        """The packs of one kind."""
        return _packs(kind, (key for item in self.lists for key in item.pack_keys))

    def damaged_packs(self, kind: bytes) -> frozenset[PackId]:
        """The packs of one kind that are listed because they are damaged."""
        return _packs(kind, self.damaged_keys)


def _packs(kind: bytes, keys: Iterable[str]) -> frozenset[PackId]:
    named = map(parse_pack_key, keys)
    return frozenset(pack for found, pack in filter(None, named) if found == kind)


def list_condemned(store: ObjectStore, cipher: ObjectCipher) -> Condemned:
    """Read every condemned list.

    Raises:
        Corruption: a list is damaged. Guessing what was on it could lose data, so nothing goes on without it.
    """
    names = [info.key for info in store.list(CONDEMNED)]
    witnessed = {name.removesuffix(_WITNESSES) for name in names if name.endswith(_WITNESSES)}
    lists = []
    for key in names:
        if key.endswith(_WITNESSES):
            continue
        try:
            body = _open(store, cipher, KIND_CONDEMNED, key, _ListBody)
        except ObjectMissingError:
            continue  # a sweep finished with it meanwhile: what was on it is gone
        witnesses = _read_witnesses(store, cipher, key) if key in witnessed else None
        lists.append(
            CondemnedList(
                sweep=SessionId(key.removeprefix(CONDEMNED)),
                pack_keys=frozenset(body.packs),
                manifest_keys=frozenset(body.manifests),
                witnesses=witnesses,
                is_damaged=body.damaged,
            )
        )
    orphans = sorted(name + _WITNESSES for name in witnessed.difference(names))
    return Condemned(tuple(lists), tuple(orphans))


def put_condemned(store: ObjectStore, cipher: ObjectCipher, item: CondemnedList) -> None:
    """Publish a list, or replace it by a shorter one."""
    key = CONDEMNED + item.sweep
    body = _ListBody(
        packs=sorted(item.pack_keys), manifests=sorted(item.manifest_keys), damaged=item.is_damaged
    )
    store.put(key, cipher.seal(KIND_CONDEMNED, key, msgspec.json.encode(body)))


def put_witnesses(
    store: ObjectStore, cipher: ObjectCipher, sweep: SessionId, sessions: Iterable[SessionId]
) -> None:
    """Write down who was running after a list became visible."""
    key = CONDEMNED + sweep + _WITNESSES
    body = _WitnessBody(sessions=sorted(sessions))
    store.put(key, cipher.seal(KIND_WITNESSES, key, msgspec.json.encode(body)))


def remove_condemned(store: ObjectStore, sweep: SessionId) -> None:
    """Remove a list on which nothing is left. Its witnesses go first: a list without them gets new ones."""
    store.delete(CONDEMNED + sweep + _WITNESSES)
    store.delete(CONDEMNED + sweep)


def _read_witnesses(store: ObjectStore, cipher: ObjectCipher, key: str) -> frozenset[SessionId] | None:
    try:
        body = _open(store, cipher, KIND_WITNESSES, key + _WITNESSES, _WitnessBody)
    except ObjectMissingError:
        return None
    return frozenset(body.sessions)


def _open(store: ObjectStore, cipher: ObjectCipher, kind: bytes, key: str, form: type[_Body]) -> _Body:
    data = cipher.open(kind, key, store.get(key))
    try:
        return msgspec.json.decode(data, type=form)
    except msgspec.MsgspecError as error:
        raise Corruption(f"object {key!r} is damaged: {error}") from error
