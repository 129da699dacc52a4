"""The operating systems that an image can say it holds (ECS API, CreateImage and ImportImage, `Platform`)."""

from typing import Final

from lamina.control.images.states import OsType

DEFAULT_PLATFORM: Final = "Others Linux"

_LINUX: Final = (
    "Aliyun",
    "Anolis",
    "CentOS",
    "Ubuntu",
    "CoreOS",
    "SUSE",
    "Debian",
    "OpenSUSE",
    "FreeBSD",
    "RedHat",
    "Kylin",
    "UOS",
    "Fedora",
    "Fedora CoreOS",
    "CentOS Stream",
    "AlmaLinux",
    "Rocky Linux",
    "Gentoo",
    "Customized Linux",
    DEFAULT_PLATFORM,
)
_WINDOWS: Final = (
    "Windows Server 2022",
    "Windows Server 2019",
    "Windows Server 2016",
    "Windows Server 2012",
    "Windows Server 2008",
    "Windows Server 2003",
    "Other Windows",
)
PLATFORMS: Final = (*_LINUX, *_WINDOWS)
"""All of them; the API counts everything that is no Windows as Linux."""


def find_os_type(platform: str) -> OsType:
    """The kind of operating system that a platform is."""
    return OsType.WINDOWS if platform in _WINDOWS else OsType.LINUX
