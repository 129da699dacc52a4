"""Condemn packs in which a verification found damage, so that nothing new comes to depend on them."""

from collections.abc import Iterable

from lamina.engine.condemned import CondemnedList, list_condemned, put_condemned
from lamina.engine.maintenance.sweep import witness_unwitnessed
from lamina.engine.repository import Repository
from lamina.engine.sessions import mint_session_id


def condemn_damaged(repository: Repository, pack_keys: Iterable[str]) -> list[str]:
    """Put packs on a condemned list of damaged packs. Safe beside everything else (docs/format.md §5).

    From now on captures store anew what lies in these packs, also what has not changed on the disk. Snapshots that
    refer to them stay as they are, and keep the packs: a sweep removes a pack when no snapshot refers to it any more.
    This is for ever: a pack that is brought back from a copy of the store stays condemned.

    Args:
        repository: the repository.
        pack_keys: object keys of packs that are damaged or missing, such as `VerifyReport.damaged_packs`.

    Returns:
        Those that were not condemned as damaged before, in order.

    Raises:
        Fault: the store failed.
        Corruption: a condemned list is damaged.
    """
    known = list_condemned(repository.store, repository.cipher).damaged_keys
    new = frozenset(pack_keys) - known
    if new:
        item = CondemnedList(
            sweep=mint_session_id(),
            pack_keys=new,
            manifest_keys=frozenset(),
            witnesses=None,
            is_damaged=True,
        )
        put_condemned(repository.store, repository.cipher, item)
        witness_unwitnessed(repository)
    return sorted(new)
