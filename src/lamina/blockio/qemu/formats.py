"""The formats of image files that are understood, and how one is told from another."""

from enum import Enum
from pathlib import PurePosixPath
from typing import Final

HEAD_BYTES: Final = 512
"""How much of a file's beginning `detect_format` looks at."""

_QCOW2_MAGIC: Final = b"QFI\xfb"
_VHD_COOKIE: Final = b"conectix"
_VMDK_MAGICS: Final = (b"KDMV", b"COWD", b"# Disk DescriptorFile")
_VDI_SIGNATURE: Final = b"\x7f\x10\xda\xbe"
_VDI_SIGNATURE_AT: Final = 0x40


class ImageFormat(Enum):
    """A format of image files; the value is its usual suffix."""

    RAW = "raw"
    QCOW2 = "qcow2"
    VHD = "vhd"
    VMDK = "vmdk"
    VDI = "vdi"


_SUFFIXES: Final = {f".{each.value}": each for each in ImageFormat} | {
    ".img": ImageFormat.RAW,
    ".qcow": ImageFormat.QCOW2,
    ".vpc": ImageFormat.VHD,
}


def find_format(name: str) -> ImageFormat | None:
    """The format that a file's name promises; None if it promises nothing."""
    return _SUFFIXES.get(PurePosixPath(name).suffix.lower())


def detect_format(head: bytes) -> ImageFormat:
    """The format of a file that begins with these bytes.

    Everything that is nothing else is raw. So a raw disk whose guest wrote the mark of another format at its beginning
    is taken for that: a caller who knows the format never asks. A VHD of fixed size has its mark at the end, and so
    is taken for raw, which its data are; the last 512 bytes are then the footer's.
    """
    if head.startswith(_QCOW2_MAGIC):
        return ImageFormat.QCOW2
    if head.startswith(_VHD_COOKIE):
        return ImageFormat.VHD
    if head.startswith(_VMDK_MAGICS):
        return ImageFormat.VMDK
    if head[_VDI_SIGNATURE_AT:].startswith(_VDI_SIGNATURE):
        return ImageFormat.VDI
    return ImageFormat.RAW
