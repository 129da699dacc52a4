"""What the headers of an image file say, read by ourselves before another program touches the file.

Looked for is what would make a reader of the file open something else (backing files, external data, extents in
other files), what cannot be read anyway (encryption), and sizes that no disk has. Whatever passes here is read with
the format named, under limits (`image_tool`): a header that lies about its tables does no more than fail there.

Sources: docs/interop/qcow2.txt of QEMU; Virtual Hard Disk Image Format Specification 1.0 (Microsoft, 2006); Virtual
Disk Format 5.0 (VMware, 2011); for VDI the header of VirtualBox's VDICore.h, as QEMU's block/vdi.c retells it.
"""

import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from lamina.blockio.qemu.formats import ImageFormat
from lamina.failures import Refusal
from lamina.units import KIB, SECTOR_BYTES, TIB

VIRTUAL_BYTES_MAX: Final = 32 * TIB
"""The largest disk there is."""


class ImageFileError(Refusal):
    """A file is not an image of its format, or one that is not taken."""


def check_headers(path: Path, image_format: ImageFormat) -> int:
    """Let only a file pass that is self-contained and plausible; the size of its disk in bytes.

    Raises:
        ImageFileError: it is not, and why.
    """
    try:
        with path.open("rb") as file:
            size = _CHECKS[image_format](file)
    except struct.error as error:
        raise _broken(image_format, "it ends within its header") from error
    if size <= 0:
        raise _broken(image_format, "its disk has no bytes")
    if size > VIRTUAL_BYTES_MAX:
        raise _broken(image_format, f"its disk would have {size} bytes, and no disk has more than 32 TiB")
    return size


def _broken(image_format: ImageFormat, reason: str) -> ImageFileError:
    return ImageFileError(f"the file is no {image_format.value} image that can be imported: {reason}")


def _check_raw(file: BinaryIO) -> int:
    return file.seek(0, 2)


# --- qcow2 ---------------------------------------------------------------------------------------------------------

_QCOW2: Final = struct.Struct(">4sIQIIQIIQQIIQ")  # up to the offset of the internal snapshots, version 2
_QCOW2_FEATURES: Final = struct.Struct(">QQQ")
_QCOW2_CORRUPT, _QCOW2_EXTERNAL_DATA = 1 << 1, 1 << 2
_QCOW2_KNOWN: Final = 0b11111  # dirty, corrupt, external data, compression type, extended L2 entries
_CLUSTER_BITS: Final = range(9, 22)


def _check_qcow2(file: BinaryIO) -> int:
    fields = _QCOW2.unpack(file.read(_QCOW2.size))
    magic, version, backing_offset, backing_bytes, cluster_bits, size, crypt_method = fields[:7]
    if magic != b"QFI\xfb" or version not in (2, 3):
        raise _broken(ImageFormat.QCOW2, "it does not begin with the header of version 2 or 3")
    if backing_offset or backing_bytes:
        raise _broken(ImageFormat.QCOW2, "it has a backing file; convert it to a file of its own first")
    if crypt_method:
        raise _broken(ImageFormat.QCOW2, "it is encrypted; decrypt it first")
    if cluster_bits not in _CLUSTER_BITS:
        raise _broken(ImageFormat.QCOW2, f"its clusters would have 2^{cluster_bits} bytes")
    incompatible = _QCOW2_FEATURES.unpack(file.read(_QCOW2_FEATURES.size))[0] if version > 2 else 0  # noqa: PLR2004 - ^
    if incompatible & _QCOW2_EXTERNAL_DATA:
        raise _broken(
            ImageFormat.QCOW2, "its data are in another file; convert it to a file of its own first"
        )
    if incompatible & _QCOW2_CORRUPT:
        raise _broken(ImageFormat.QCOW2, "it is marked as damaged; repair it with `qemu-img check -r` first")
    if incompatible & ~_QCOW2_KNOWN:
        raise _broken(ImageFormat.QCOW2, "it uses features that are not known")
    return int(size)


# --- VHD -----------------------------------------------------------------------------------------------------------

_VHD: Final = struct.Struct(">8sIIQI4sI4sQQ4sI")  # up to the type of the disk
_VHD_FIXED, _VHD_DYNAMIC, _VHD_DIFFERENCING = 2, 3, 4
_VHD_FOOTER_BYTES: Final = 512


def _check_vhd(file: BinaryIO) -> int:
    head = file.read(_VHD.size)
    if not head.startswith(b"conectix"):  # a fixed one has a footer only
        end = file.seek(0, 2)
        file.seek(max(0, end - _VHD_FOOTER_BYTES))
        head = file.read(_VHD.size)
    fields = _VHD.unpack(head)
    cookie, data_offset, size, kind = fields[0], fields[3], fields[9], fields[11]
    if cookie != b"conectix":
        raise _broken(ImageFormat.VHD, "it has no footer of a VHD")
    if kind == _VHD_DIFFERENCING:
        raise _broken(ImageFormat.VHD, "it holds differences to another file; merge them first")
    if kind not in (_VHD_FIXED, _VHD_DYNAMIC):
        raise _broken(ImageFormat.VHD, f"its type {kind} is not known")
    if kind == _VHD_DYNAMIC:
        file.seek(min(data_offset, file.seek(0, 2)))
        if file.read(8) != b"cxsparse":
            raise _broken(ImageFormat.VHD, "its dynamic header is missing")
    return int(size)


# --- VMDK ----------------------------------------------------------------------------------------------------------

_VMDK: Final = struct.Struct("<4sIIQQQQIQQ")  # up to the offset of the grain directory
_VMDK_AT_END: Final = (1 << 64) - 1
_VMDK_FOOTER_FROM_END: Final = 2 * SECTOR_BYTES
_DESCRIPTOR_AT, _DESCRIPTOR_BYTES = 1 * SECTOR_BYTES, 64 * KIB  # readers look here, whatever the header says
_EXTENT: Final = re.compile(rb"^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\w+)", re.MULTILINE)
_CREATE_TYPE: Final = re.compile(rb'^\s*createType\s*=\s*"([^"]*)"', re.MULTILINE)
_VMDK_TYPES: Final = (b"monolithicSparse", b"streamOptimized")
_ONLY_TWO: Final = "only monolithicSparse and streamOptimized files are taken, which hold all of their data"


def _check_vmdk(file: BinaryIO) -> int:
    head = file.read(_VMDK.size)
    if not head.startswith(b"KDMV"):
        raise _broken(ImageFormat.VMDK, _ONLY_TWO)
    header = _VMDK.unpack(head)
    capacity, descriptor_at, descriptor_sectors, directory_at = header[3], header[5], header[6], header[9]
    if (
        capacity == 0
        or descriptor_at > _DESCRIPTOR_BYTES
        or descriptor_sectors * SECTOR_BYTES > _DESCRIPTOR_BYTES
    ):
        raise _broken(ImageFormat.VMDK, "its header names no disk of its own")
    for offset in {_DESCRIPTOR_AT, descriptor_at * SECTOR_BYTES}:
        file.seek(offset)
        _check_descriptor(file.read(_DESCRIPTOR_BYTES))
    if directory_at == _VMDK_AT_END:
        file.seek(max(0, file.seek(0, 2) - _VMDK_FOOTER_FROM_END))
        footer = _VMDK.unpack(file.read(_VMDK.size))
        if (footer[0], footer[3]) != (b"KDMV", capacity):
            raise _broken(ImageFormat.VMDK, "its footer does not fit its header")
    return int(capacity) * SECTOR_BYTES


def _check_descriptor(data: bytes) -> None:
    text = data.partition(b"\0")[0]  # behind it there may be anything, also what looks like a descriptor
    if b"parentFileNameHint" in text:
        raise _broken(ImageFormat.VMDK, "it holds differences to another file; merge them first")
    extents = _EXTENT.findall(text)
    if len(extents) > 1 or any(kind != b"SPARSE" for kind in extents):
        raise _broken(ImageFormat.VMDK, "its descriptor names other files")
    if any(kind not in _VMDK_TYPES for kind in _CREATE_TYPE.findall(text)):
        raise _broken(ImageFormat.VMDK, _ONLY_TWO)


# --- VDI -----------------------------------------------------------------------------------------------------------

_VDI: Final = struct.Struct("<64sIIIII256sIIIIIIIQIIII16s16s16s16s")
_VDI_SIGNATURE: Final = 0xBEDA107F
_VDI_VERSION: Final = 0x0001_0001
_VDI_TYPES: Final = (1, 2)  # dynamic, static


def _check_vdi(file: BinaryIO) -> int:
    fields = _VDI.unpack(file.read(_VDI.size))
    signature, version, kind, size = fields[1], fields[2], fields[4], fields[14]
    if (signature, version) != (_VDI_SIGNATURE, _VDI_VERSION):
        raise _broken(ImageFormat.VDI, "it does not begin with the header of version 1.1")
    if kind not in _VDI_TYPES or any(fields[21]) or any(fields[22]):
        raise _broken(ImageFormat.VDI, "it holds differences to another file; merge them first")
    return int(size)


_CHECKS: Final[Mapping[ImageFormat, Callable[[BinaryIO], int]]] = {
    ImageFormat.RAW: _check_raw,
    ImageFormat.QCOW2: _check_qcow2,
    ImageFormat.VHD: _check_vhd,
    ImageFormat.VMDK: _check_vmdk,
    ImageFormat.VDI: _check_vdi,
}
