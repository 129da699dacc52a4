"""Damage that is damage: a bit is turned. A fixed byte in place of a random one is there already 1 time in 256."""


def flip(data: bytes, position: int = -1) -> bytes:
    """The same bytes, one bit of one byte turned."""
    flipped = bytearray(data)
    flipped[position] ^= 1
    return bytes(flipped)


def flip_object(store, key, position):
    """Turn a bit of an object in its store."""
    store.put(key, flip(store.get(key), position))


def flip_file(path, position=-1):
    """Turn a bit of a file."""
    path.write_bytes(flip(path.read_bytes(), position))
