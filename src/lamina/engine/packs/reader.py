"""Reading records back: few requests, every byte authenticated."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple

from lamina.engine.format import Location, PackId, pack_key
from lamina.engine.objects.store import ObjectMissingError, ObjectStore
from lamina.engine.packs.footer import FooterRow, decode_footer, decode_trailer, encode_header
from lamina.engine.seal.compression import decompress
from lamina.engine.seal.encryption import PackCipher
from lamina.engine.seal.keys import DomainKeys
from lamina.failures import Corruption
from lamina.units import KIB, MIB

# Reading over a gap is cheaper than another request: on S3 a request costs about as much as 128 KiB.
_GAP_BYTES_MAX: Final = 128 * KIB
_REQUEST_BYTES_MAX: Final = 8 * MIB
_CIPHERS_KEPT: Final = 1024
# The footer of a pack of 64 KiB blocks that shrank to an eighth has 4,000 rows: 160 KiB.
_FOOTER_GUESS_BYTES: Final = 192 * KIB


class Wanted(NamedTuple):
    """A record that somebody wants to read: what it must be, and where it lies."""

    identity: bytes
    location: Location


class RecordReader:
    """Reads records of packs of one kind. Thread-safe.

    A record that is missing or damaged comes back as the `Corruption` that says so, in its place, so that
    one bad record does not hide the good ones beside it. Faults of the store are raised.
    """

    def __init__(self, kind: bytes, store: ObjectStore, keys: DomainKeys, *, record_bytes_max: int) -> None:
        self._kind = kind
        self._store = store
        self._keys = keys
        self._record_bytes_max = record_bytes_max
        self._cipher = lru_cache(maxsize=_CIPHERS_KEPT)(self._make_cipher)

    def read(self, wanted: Sequence[Wanted]) -> list[bytes | Corruption]:
        """The contents of every record, in the order asked for."""
        found: dict[Wanted, bytes | Corruption] = {}
        for run in plan_requests(wanted):
            self._read_run(run, found)
        return [found[item] for item in wanted]

    def read_footer(self, pack: PackId) -> tuple[list[FooterRow], int]:
        """The rows of a pack's footer, and the size of the pack in bytes.

        Raises:
            ObjectMissingError: there is no such pack.
            Corruption: its end is damaged.
        """
        key = pack_key(self._kind, pack)
        tail, size = self._store.get_tail(key, _FOOTER_GUESS_BYTES)
        length = decode_trailer(tail, size, key)
        if length > len(tail):
            tail, size = self._store.get_tail(key, length)
        header = encode_header(self._kind, self._keys.domain, pack)
        return decode_footer(self._cipher(pack), header, tail[-length:], size, key), size

    def open_record(self, record: memoryview, row: FooterRow, pack: PackId) -> bytes:
        """The contents of a record that was read already.

        Raises:
            Corruption: it does not authenticate or decompress.
        """
        encoding, payload = self._cipher(pack).open(record, row.offset, row.identity)
        return decompress(encoding, payload, self._record_bytes_max)

    def _read_run(self, run: Sequence[Wanted], found: dict[Wanted, bytes | Corruption]) -> None:
        pack = run[0].location.pack
        start = run[0].location.offset
        end = max(item.location.offset + item.location.length for item in run)
        key = pack_key(self._kind, pack)
        try:
            data = memoryview(self._store.get_range(key, start, end - start))
        except ObjectMissingError:
            missing = Corruption(f"object {key!r} is missing")
            found.update((item, missing) for item in run)
            return
        for item in run:
            offset, length = item.location.offset, item.location.length
            record = data[offset - start : offset - start + length]
            try:
                found[item] = self.open_record(record, FooterRow(item.identity, offset, length), pack)
            except Corruption as error:
                found[item] = Corruption(
                    f"object {key!r} is damaged at bytes {offset}-{offset + length - 1}: {error}"
                )

    def _make_cipher(self, pack: PackId) -> PackCipher:
        return PackCipher(self._keys.pack_key(self._kind, pack))


def plan_requests(wanted: Iterable[Wanted]) -> Iterator[list[Wanted]]:
    """Group records into requests: same pack, small gaps, at most 8 MiB. Equal records are asked for once."""
    ordered = sorted(set(wanted), key=lambda item: item.location)
    for _, group in groupby(ordered, key=lambda item: item.location.pack):
        run: list[Wanted] = []
        end = 0
        for item in group:
            _, offset, length = item.location
            full = run and offset + length - run[0].location.offset > _REQUEST_BYTES_MAX
            if run and (full or offset - end > _GAP_BYTES_MAX):
                yield run
                run = []
            run.append(item)
            end = offset + length
        yield run
