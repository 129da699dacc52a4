"""Sizes and alignment: the only home of 512, 1024 and their multiples."""

from typing import Final, NewType

BlockIndex = NewType("BlockIndex", int)
"""Position of a block on a disk: its offset in bytes divided by `BLOCK_BYTES`."""

SECTOR_BYTES: Final = 512
KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
TIB: Final = 1024 * GIB


def round_down(value: int, step: int) -> int:
    """The largest multiple of `step` that is not above `value`."""
    return value - value % step


def round_up(value: int, step: int) -> int:
    """The smallest multiple of `step` that is not below `value`."""
    return -(-value // step) * step


def count_steps(length: int, step: int) -> int:
    """How many slices of `step` it takes to cover `length`; the last one may be short."""
    return -(-length // step)


def format_bytes(value: float) -> str:
    """`value` bytes for people: three significant digits and a binary unit (`1.50 GiB`)."""
    for unit, size in (("TiB", TIB), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if abs(value) >= size:
            scaled = value / size
            digits = 2 if abs(scaled) < 10 else 1 if abs(scaled) < 100 else 0  # noqa: PLR2004 - three digits
            return f"{scaled:.{digits}f} {unit}"
    return f"{value:.0f} B"
