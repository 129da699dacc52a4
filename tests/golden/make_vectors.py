"""Computes `vectors.json` from docs/format.md with plain cryptographic calls, and nothing of the product.

`python -m tests.golden.make_vectors > tests/golden/vectors.json`
"""

import json
from struct import pack

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

REPOSITORY = bytes(range(16))
MASTER = bytes(range(32, 64))
SESSION = bytes(range(100, 116))
DOMAIN = bytes(16)
BLOCK = (b"lamina golden block " * 4000)[:65536]
DISK_BYTES = 8 * 1024 * 1024 - 5


def derive(key: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=REPOSITORY, info=info).derive(key)


def vectors() -> dict[str, str]:
    domain_key = derive(MASTER, b"lamina/1/domain" + DOMAIN)
    block_key = derive(domain_key, b"lamina/1/block-identity")
    page_key = derive(domain_key, b"lamina/1/page-identity")
    pack_key = derive(domain_key, b"lamina/1/pack" + b"P" + SESSION + pack("<I", 7))
    object_key = derive(MASTER, b"lamina/1/objects")
    block_id = blake3(BLOCK, key=block_key).digest()

    # A leaf: block 3 is data, block 4 is written zeros.
    data_bits, zero_bits = bytes([0b1000]) + bytes(15), bytes([0b10000]) + bytes(15)
    leaf_id = blake3(b"leaf" + data_bits + zero_bits + block_id, key=page_key).digest()
    place = pack("<H", 0) + pack("<I", 48) + pack("<I", 65553)
    leaf = (
        b"L" + bytes(1) + pack("<H", 1) + data_bits + zero_bits + SESSION + pack("<I", 7) + block_id + place
    )

    # A branch that has this leaf as its second one.
    present = bytes([0b10]) + bytes(511)
    branch_id = blake3(b"branch" + present + leaf_id, key=page_key).digest()
    counts = pack("<H", 1) + pack("<H", 1)
    branch = b"B" + bytes(1) + pack("<H", 1) + present + SESSION + pack("<I", 9) + leaf_id + place + counts

    # A root that has this branch as its sixth one.
    content_id = blake3(b"root" + pack("<Q", DISK_BYTES) + pack("<I", 5) + branch_id, key=page_key).digest()
    row = pack("<I", 5) + branch_id + SESSION + pack("<I", 9) + pack("<IIII", 48, 600, 1, 1)

    header = b"LAMINA" + b"P" + bytes([1]) + DOMAIN + SESSION + pack("<I", 7) + pack("<I", 0)
    record = bytes([0]) + AESGCM(pack_key).encrypt(bytes(8) + pack(">I", 48), BLOCK, bytes([0]) + block_id)
    footer_row = block_id + pack("<I", 48) + pack("<I", len(record))
    footer = AESGCM(pack_key).encrypt(b"\xff" * 12, footer_row, header)
    trailer = pack("<I", len(footer)) + pack("<I", 1) + b"LAMEND01"
    small_header = b"LAMINA" + b"D" + bytes([1])
    key_name = b"snapshots/s-golden/deleted"
    nonce = bytes(range(12))
    small = small_header + nonce + AESGCM(object_key).encrypt(nonce, b"{}", small_header + key_name)
    found = {
        "domain_key": domain_key,
        "block_identity": block_key,
        "page_identity": page_key,
        "pack_key": pack_key,
        "object_key": object_key,
        "block_id": block_id,
        "leaf_id": leaf_id,
        "leaf": leaf,
        "branch_id": branch_id,
        "branch": branch,
        "content_id": content_id,
        "root": pack("<I", 1) + row,
        "pack_header": header,
        "record_blake3": blake3(record).digest(),
        "footer_and_trailer": footer + trailer,
        "deletion_marker": small,
    }
    return {name: value.hex() for name, value in found.items()}


if __name__ == "__main__":
    print(json.dumps(vectors(), indent=1))
