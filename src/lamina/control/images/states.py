"""The states of an image, as the ECS API names them, and which may follow which."""

from enum import Enum
from typing import Final


class ImageState(Enum):
    """Where an image stands (ECS API, DescribeImages, `Status`)."""

    WAITING = "Waiting"  # a copy or an import that has not begun
    CREATING = "Creating"
    AVAILABLE = "Available"
    UNAVAILABLE = "UnAvailable"  # one of its snapshots has lost its data
    CREATE_FAILED = "CreateFailed"
    DEPRECATED = "Deprecated"  # its owner's word that others are better; it still starts instances


TRANSITIONS: Final[dict[ImageState, frozenset[ImageState]]] = {
    ImageState.WAITING: frozenset({ImageState.CREATING, ImageState.AVAILABLE, ImageState.CREATE_FAILED}),
    ImageState.CREATING: frozenset({ImageState.AVAILABLE, ImageState.CREATE_FAILED}),
    ImageState.AVAILABLE: frozenset({ImageState.DEPRECATED, ImageState.UNAVAILABLE}),
    ImageState.UNAVAILABLE: frozenset({ImageState.AVAILABLE}),
    ImageState.CREATE_FAILED: frozenset(),
    ImageState.DEPRECATED: frozenset({ImageState.AVAILABLE, ImageState.UNAVAILABLE}),
}


class ImageOrigin(Enum):
    """Where an image comes from."""

    BUILT_IN = "built-in"  # part of every region
    CREATED = "created"  # of an instance or of snapshots
    COPIED = "copied"
    IMPORTED = "imported"


class Architecture(Enum):
    """What an image's programs run on."""

    I386 = "i386"
    X86_64 = "x86_64"
    ARM64 = "arm64"


class BootMode(Enum):
    """How an image is started."""

    BIOS = "BIOS"
    UEFI = "UEFI"
    UEFI_PREFERRED = "UEFI-Preferred"


class LicenseType(Enum):
    """Who licenses the operating system of an image; recorded and shown."""

    AUTO = "Auto"
    ALIYUN = "Aliyun"
    BYOL = "BYOL"


class OsType(Enum):
    """The kind of operating system."""

    LINUX = "linux"
    WINDOWS = "windows"
