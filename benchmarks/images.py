"""A disk image with a real file system that holds real files of this machine."""

import os
import shutil
import subprocess
from pathlib import Path

SOURCES = (Path("/usr/lib"), Path("/usr/share"), Path("/usr/bin"), Path("/usr/local"), Path("/opt"))


def build_image(folder: Path, data_bytes: int) -> Path:
    """Make `folder`/disk.raw: ext4, sparse, holding copies of at least `data_bytes` of regular files.

    Files are taken in the order of their names, so the same machine gives the same image.
    """
    image = folder / "disk.raw"
    tree = folder / "tree"
    copied = _copy_files(tree, data_bytes)
    if copied < data_bytes:
        raise RuntimeError(
            f"this machine has only {copied} bytes of files below {', '.join(map(str, SOURCES))}"
        )
    with image.open("wb") as stream:
        stream.truncate(int(copied * 1.25) // 4096 * 4096)
    options = "lazy_itable_init=0,lazy_journal_init=0"
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", options, "-d", tree, image], check=True)
    shutil.rmtree(tree)
    return image


def _copy_files(tree: Path, data_bytes: int) -> int:
    copied = 0
    for source in SOURCES:
        for folder, names, files in os.walk(source):
            names.sort()
            for name in sorted(files):
                path = Path(folder, name)
                if path.is_symlink() or not path.is_file() or not os.access(path, os.R_OK):
                    continue
                target = tree / path.relative_to("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                copied += path.stat().st_size
                if copied >= data_bytes:
                    return copied
    return copied
