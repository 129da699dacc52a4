"""The product's bytes and ids against vectors that were computed from docs/format.md without it."""

import json
from pathlib import Path

import pytest
from blake3 import blake3

from lamina.engine.blockmap.page import Branch, Leaf, PageRef, Stored, Written
from lamina.engine.blockmap.root import Root
from lamina.engine.format import DEFAULT_DOMAIN, KIND_DATA_PACK, KIND_MARKER, LEAF_BLOCKS, Location, PackId
from lamina.engine.packs.footer import FooterRow, encode_footer, encode_header
from lamina.engine.seal.encryption import ObjectCipher, PackCipher
from lamina.engine.seal.hashing import Identity
from lamina.engine.seal.keys import MasterKey
from tests.golden import make_vectors

VECTORS = {
    name: bytes.fromhex(text)
    for name, text in json.loads(Path(__file__).with_name("vectors.json").read_text()).items()
}
MASTER = MasterKey(make_vectors.REPOSITORY, make_vectors.MASTER)
KEYS = MASTER.domain_keys(DEFAULT_DOMAIN)
IDENTITY = Identity(KEYS)
DATA_PACK = PackId(make_vectors.SESSION, 7)
MAP_PACK = PackId(make_vectors.SESSION, 9)


def make_leaf():
    entries = [None] * LEAF_BLOCKS
    entries[3] = Stored(IDENTITY.block(make_vectors.BLOCK), Location(DATA_PACK, 48, 65553))
    entries[4] = Written.ZERO
    return Leaf(tuple(entries))


def make_branch():
    leaf = make_leaf()
    return Branch({1: PageRef(leaf.page_id(IDENTITY), Location(MAP_PACK, 48, 65553), 1, 1)})


def make_root():
    branch_id = make_branch().page_id(IDENTITY)
    return Root(make_vectors.DISK_BYTES, {5: PageRef(branch_id, Location(MAP_PACK, 48, 600), 1, 1)})


def seal_record():
    record = bytearray(1 + len(make_vectors.BLOCK) + 16)
    cipher = PackCipher(KEYS.pack_key(KIND_DATA_PACK, DATA_PACK))
    cipher.seal_into(memoryview(record), 48, IDENTITY.block(make_vectors.BLOCK), 0, make_vectors.BLOCK)
    return record


def seal_footer():
    cipher = PackCipher(KEYS.pack_key(KIND_DATA_PACK, DATA_PACK))
    header = encode_header(KIND_DATA_PACK, DEFAULT_DOMAIN, DATA_PACK)
    row = FooterRow(IDENTITY.block(make_vectors.BLOCK), 48, len(seal_record()))
    return encode_footer(cipher, header, [row])


PRODUCT = {
    "domain_key": lambda: KEYS.key,
    "block_identity": KEYS.block_identity,
    "page_identity": KEYS.page_identity,
    "pack_key": lambda: KEYS.pack_key(KIND_DATA_PACK, DATA_PACK),
    "object_key": MASTER.object_key,
    "block_id": lambda: IDENTITY.block(make_vectors.BLOCK),
    "leaf_id": lambda: make_leaf().page_id(IDENTITY),
    "leaf": lambda: make_leaf().encode(),
    "branch_id": lambda: make_branch().page_id(IDENTITY),
    "branch": lambda: make_branch().encode(),
    "content_id": lambda: make_root().content_id(IDENTITY),
    "root": lambda: make_root().encode(),
    "pack_header": lambda: encode_header(KIND_DATA_PACK, DEFAULT_DOMAIN, DATA_PACK),
    "record_blake3": lambda: blake3(seal_record()).digest(),
    "footer_and_trailer": seal_footer,
}


@pytest.mark.parametrize("name", PRODUCT)
def test_the_product_gives_the_bytes_of_the_document(name):
    assert bytes(PRODUCT[name]()).hex() == VECTORS[name].hex()


def test_a_small_object_of_the_document_opens():
    cipher = ObjectCipher(MASTER.object_key())
    assert cipher.open(KIND_MARKER, "snapshots/s-golden/deleted", VECTORS["deletion_marker"]) == b"{}"


def test_no_vector_is_left_out():
    assert set(PRODUCT) | {"deletion_marker"} == set(VECTORS)


def test_pages_decode_to_what_they_were_made_from():
    assert Leaf.decode(VECTORS["leaf"]) == make_leaf()
    assert Branch.decode(VECTORS["branch"]) == make_branch()
    assert Root.decode(make_vectors.DISK_BYTES, VECTORS["root"]) == make_root()
