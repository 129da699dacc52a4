"""The Linux calls that Python has no name for: fallocate, clones, extent maps, leases, sizes of devices."""

import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import struct
from typing import Final

# linux/fs.h and asm-generic/ioctl.h; the numbers are the same on x86-64, arm64 and riscv64
_BLKROGET: Final = 0x125E
_BLKGETSIZE64: Final = 0x80081272
_BLKSSZGET: Final = 0x1268
_BLKZEROOUT: Final = 0x127F
_FICLONE: Final = 0x40049409
_FS_IOC_FIEMAP: Final = 0xC020660B
_FS_IOC_GETFLAGS: Final = 0x80086601
_FS_IOC_SETFLAGS: Final = 0x40086602
_FS_NOCOW_FL: Final = 0x00800000

# linux/falloc.h
_KEEP_SIZE: Final = 0x01
_PUNCH_HOLE: Final = 0x02
_ZERO_RANGE: Final = 0x10

_libc: Final = ctypes.CDLL(None, use_errno=True)
# off_t is 64 bits wide on every 64-bit Linux; a plain int argument would be cut to 32
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
_libc.fallocate.restype = ctypes.c_int


def block_device_bytes(fd: int) -> int:
    """The size of the block device behind `fd`, in bytes."""
    answer = fcntl.ioctl(fd, _BLKGETSIZE64, bytes(8))
    return int(struct.unpack("=Q", answer)[0])


def is_read_only_device(fd: int) -> bool:
    """Whether the block device behind `fd` refuses writes, though it can be opened for writing."""
    answer = fcntl.ioctl(fd, _BLKROGET, bytes(4))
    return bool(struct.unpack("=i", answer)[0])


def block_device_step(fd: int) -> int:
    """The logical sector of the block device behind `fd`, in bytes: ranges of it must be multiples."""
    answer = fcntl.ioctl(fd, _BLKSSZGET, bytes(4))
    return int(struct.unpack("=i", answer)[0])


def zero_out_device(fd: int, offset: int, length: int) -> None:
    """Make a sector-aligned range of a block device read as zero; the kernel writes where it must.

    BLKZEROOUT guarantees zeros. BLKDISCARD does not, whatever the device promises, so it is not offered here.
    """
    fcntl.ioctl(fd, _BLKZEROOUT, struct.pack("=QQ", offset, length))


def punch_hole(fd: int, offset: int, length: int) -> None:
    """Deallocate a range so that it reads as zero, without changing the size of the file.

    On a block device the kernel unmaps only if the device guarantees zeros afterwards (fallocate(2)).

    Raises:
        OSError: EOPNOTSUPP where the file system or device cannot.
    """
    _fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, offset, length)


def zero_range(fd: int, offset: int, length: int) -> None:
    """Make a range read as zero and keep it allocated, without changing the size of the file.

    Raises:
        OSError: EOPNOTSUPP where the file system or device cannot.
    """
    _fallocate(fd, _ZERO_RANGE | _KEEP_SIZE, offset, length)


def clone_file(source_fd: int, target_fd: int) -> None:
    """Make the target share every extent of the source, at one instant for its writers (ioctl_ficlone(2)).

    Raises:
        OSError: EOPNOTSUPP, EXDEV, EINVAL or ENOTTY where the file system cannot; ENOSPC where it is full.
    """
    fcntl.ioctl(target_fd, _FICLONE, source_fd)


def copy_no_cow_flag(source_fd: int, target_fd: int) -> None:
    """Give an empty file the "no copy on write" flag of another, where that has it.

    btrfs clones only between files that agree on it, and tools set it on folders of disk images (chattr +C).
    """
    try:
        if _inode_flags(source_fd) & _FS_NOCOW_FL:
            flags = _inode_flags(target_fd) | _FS_NOCOW_FL
            fcntl.ioctl(target_fd, _FS_IOC_SETFLAGS, struct.pack("=i4x", flags))
    except OSError as error:
        if error.errno not in (errno.ENOTTY, errno.EOPNOTSUPP):
            raise


def query_extent_map(fd: int, request: bytearray) -> None:
    """Fill `request`, a `struct fiemap` with room for its extents, in place (FS_IOC_FIEMAP)."""
    fcntl.ioctl(fd, _FS_IOC_FIEMAP, request, True)  # noqa: FBT003 - `mutate_flag` is positional only


def take_read_lease(fd: int) -> None:
    """Ask to be told before anybody opens the file for writing or cuts it (fcntl(2), F_SETLEASE).

    The kernel grants it only if nobody has the file open for writing: a memory map of it counts, since the
    map keeps the open file alive. `fd` must be open for reading only.

    Raises:
        OSError: EAGAIN if somebody has it open for writing; EACCES if it belongs to another user; EINVAL
            where the file system has no leases.
    """
    # The default signal of a broken lease, SIGIO, ends a process that does not handle it; SIGURG is ignored.
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)


def holds_read_lease(fd: int) -> bool:
    """Whether nobody has tried to open the file for writing since the lease was taken."""
    return fcntl.fcntl(fd, fcntl.F_GETLEASE) == fcntl.F_RDLCK


def release_lease(fd: int) -> None:
    """Let those go on who wait to open the file for writing; without a lease it does nothing."""
    with contextlib.suppress(OSError):  # EAGAIN where there is none any more
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def _inode_flags(fd: int) -> int:
    # the number says 64 bits, the kernel writes an int (ioctl_iflags(2))
    return int(struct.unpack("=i4x", fcntl.ioctl(fd, _FS_IOC_GETFLAGS, bytes(8)))[0])


def _fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    while _libc.fallocate(fd, mode, offset, length) != 0:
        code = ctypes.get_errno()
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))
