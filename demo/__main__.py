"""The main job: `make demo` plays the whole life of a disk's snapshots on real bytes. Only loopback is used."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from demo.image import MIB, ImageError
from demo.nbd import NbdError
from demo.product import DemoFailedError, Service
from demo.screen import Screen
from demo.story import Scene, tell

_NEEDED_PER_FILE_BYTE: Final = 5  # tree, image, changed copy, the service's disk, the store
_PROGRAMS: Final = {
    "mkfs.ext4": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "dumpe2fs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "nbdcopy": "libnbd-bin",
}


def main() -> int:
    """Play the demo; 0 if everything was as it must be."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--mib", type=int, default=320, help="how much of this machine's files to use")
    parser.add_argument(
        "--keep", action="store_true", help="leave the service running, and say how to use it"
    )
    arguments = parser.parse_args()
    screen = Screen()
    signal.signal(signal.SIGTERM, _interrupt)
    folder: Path | None = None
    kept = False
    try:
        _check_programs()
        folder = Path(
            tempfile.mkdtemp(
                prefix="lamina-demo-", dir=_find_room(arguments.mib * MIB * _NEEDED_PER_FILE_BYTE)
            )
        )
        service = tell(
            Scene(screen=screen, folder=folder, file_bytes=arguments.mib * MIB, keep=arguments.keep)
        )
        kept = arguments.keep
    except KeyboardInterrupt:
        screen.say("", "interrupted; everything was removed")
        return 130
    except (DemoFailedError, NbdError, ImageError, OSError) as failure:
        screen.say("", f"[bold red]The demo failed:[/bold red] {failure}")
        return 1
    finally:
        if folder is not None and not kept:
            shutil.rmtree(folder, ignore_errors=True)
    if kept:
        _tell_how_to_go_on(screen, service)
    else:
        screen.say(
            "",
            "Everything was as it must be, and was removed again. `make demo KEEP=1` leaves the service up.",
        )
    return 0


def _check_programs() -> None:
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = sorted({package for program, package in _PROGRAMS.items() if shutil.which(program) is None})
    if missing:
        raise DemoFailedError(f"install these Debian packages first: {' '.join(missing)}")


def _find_room(wanted_bytes: int) -> Path:
    """A folder with room: where the user wants temporary files, else a cache, else where the system keeps them."""
    places = [os.environ.get("TMPDIR"), os.environ.get("XDG_CACHE_HOME"), "/var/tmp", "/tmp"]
    for place in [Path(text) for text in places if text]:
        if place.is_dir() and os.access(place, os.W_OK) and shutil.disk_usage(place).free > wanted_bytes:
            return place
    raise DemoFailedError(f"no folder for temporary files has {wanted_bytes // MIB} MiB of room; set TMPDIR")


def _tell_how_to_go_on(screen: Screen, service: Service) -> None:
    lamina = Path(sys.executable).with_name("lamina")
    screen.say(
        "",
        f"The service is still up at http://{service.endpoint}. Go on with:",
        f"  {lamina} disk list --profile {service.profile}",
        f"  {lamina} snapshot list --profile {service.profile}",
        f"  {lamina} ecs --help",
        f"Stop it with: kill {service.pid}. Then remove it with: rm -r {service.directory.parent}",
    )


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
