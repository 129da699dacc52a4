"""Making the local caches of a repository anew, from the store alone."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from lamina.engine.format import DATA_FOLDER, PackId, data_pack_key, parse_pack_key
from lamina.engine.objects.store import ObjectMissingError
from lamina.engine.packs.footer import FooterRow
from lamina.engine.repository import Repository
from lamina.failures import Corruption
from lamina.transfer.progress import Progress

_READERS: Final = 8
_PACKS_AT_ONCE: Final = (
    256  # their rows are in memory: 256 packs of 4,000 blocks are about 200 MiB at the very most
)


@dataclass(slots=True, kw_only=True)
class IndexReport:
    """What the index was made from.

    Attributes:
        packs: packs whose footers it holds.
        blocks: rows that they have.
        unreadable: packs whose footer cannot be read, and why; `lamina repo verify` tells who needs them.
    """

    packs: int
    blocks: int
    unreadable: list[str]


def rebuild_index(repository: Repository, progress: Progress) -> IndexReport:
    """Drop the caches of this repository, and make the local index from the footers of all packs.

    The progress counts the bytes of the packs whose footers were read.

    Raises:
        Fault: the store failed.
        Cancelled: the progress was cancelled; half an index is as good as none.
    """
    if repository.cache_dir is not None:
        shutil.rmtree(repository.cache_dir / repository.master.repository.hex(), ignore_errors=True)
    sizes = {}
    for info in repository.store.list(DATA_FOLDER):
        named = parse_pack_key(info.key)
        if named is not None:
            sizes[named[1]] = info.size_bytes
    progress.expect(sum(sizes.values()))
    report = IndexReport(packs=0, blocks=0, unreadable=[])
    packs = list(sizes)
    index = repository.open_index()
    try:
        for start in range(0, len(packs), _PACKS_AT_ONCE):
            group = packs[start : start + _PACKS_AT_ONCE]
            for pack, rows in zip(group, _read_footers(repository, group), strict=True):
                progress.check()
                progress.advance(sizes[pack])
                if isinstance(rows, Corruption):
                    report.unreadable.append(str(rows))
                    continue
                index.record(pack, rows)
                report.packs += 1
                report.blocks += len(rows)
    finally:
        index.close()
    return report


def _read_footers(repository: Repository, packs: Sequence[PackId]) -> list[list[FooterRow] | Corruption]:
    def read(pack: PackId) -> list[FooterRow] | Corruption:
        try:
            return repository.blocks.read_footer(pack)[0]
        except ObjectMissingError:
            return Corruption(
                f"object {data_pack_key(pack)!r} is missing"
            )  # a sweep removed it since it was listed
        except Corruption as damage:
            return damage

    with ThreadPoolExecutor(_READERS, thread_name_prefix="footer") as executor:
        return list(executor.map(read, packs))
