"""First capture, unchanged capture and restore of one image: Lamina beside restic, borg and bare zstd.

All tools run in turns on the same image, on a tmpfs, with a warm page cache, and every restored image is
compared with the original. Reported are medians; quote the ratios, since machines differ.
Usage: python benchmarks/peers.py [--gib 2.2]
"""

import argparse
import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))
from images import build_image
from measure import Cost, median, run, tree_bytes

LAMINA = Path(sys.executable).with_name("lamina")


@dataclass(frozen=True)
class Tool:
    """One contestant: how to prepare a store, capture, capture again, restore."""

    name: str
    prepare: Callable[[Path], None]
    capture: Callable[[Path, Path], Cost]
    restore: Callable[[Path, Path], Cost]
    captures_twice: bool = True


def lamina() -> Tool:
    environ = {"LAMINA_PASSPHRASE": "x", "LAMINA_ZSTD_LEVEL": "1"}

    def env(folder: Path) -> Mapping[str, str]:
        return {**environ, "XDG_CACHE_HOME": str(folder / "cache")}

    def newest(folder: Path) -> str:
        listing = subprocess.run(
            [LAMINA, "repo", "list", folder / "store", "--json"],
            env={**os.environ, **env(folder)},
            check=True,
            capture_output=True,
        )
        return max(json.loads(listing.stdout)["snapshots"], key=lambda item: item["created_at"])["snapshot"]

    return Tool(
        "lamina",
        lambda folder: _quiet(run([LAMINA, "repo", "init", folder / "store"], environ=env(folder))),
        lambda folder, image: run([LAMINA, "repo", "capture", folder / "store", image], environ=env(folder)),
        lambda folder, out: run(
            [LAMINA, "repo", "restore", folder / "store", newest(folder), out], environ=env(folder)
        ),
    )


def restic() -> Tool:
    def env(folder: Path) -> Mapping[str, str]:
        return {
            "RESTIC_PASSWORD": "x",
            "RESTIC_REPOSITORY": str(folder / "store"),
            "RESTIC_CACHE_DIR": str(folder / "cache"),
        }

    backup = ["restic", "backup", "-q", "--stdin", "--stdin-filename", "disk.raw"]
    return Tool(
        "restic",
        lambda folder: _quiet(run(["restic", "init", "-q"], environ=env(folder))),
        lambda folder, image: run(backup, environ=env(folder), stdin=image),
        lambda folder, out: run(
            ["restic", "dump", "-q", "latest", "disk.raw"], environ=env(folder), stdout=out
        ),
    )


def borg() -> Tool:
    runs = iter(range(1000))

    def env(folder: Path) -> Mapping[str, str]:
        return {
            "BORG_BASE_DIR": str(folder / "base"),
            "BORG_PASSPHRASE": "x",
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }

    def prepare(folder: Path) -> None:
        (folder / "base").mkdir()
        run(["borg", "init", "-e", "repokey-blake2", folder / "store"], environ=env(folder))

    def capture(folder: Path, image: Path) -> Cost:
        # The files cache is told to forget, so that the second run reads the image as the others do.
        options = [
            "-C",
            "zstd,1",
            "--chunker-params",
            "fixed,4194304",
            "--sparse",
            "--files-cache",
            "disabled",
        ]
        command = ["borg", "create", *options, f"{folder}/store::s{next(runs)}", image.name]
        return run(command, environ=env(folder), cwd=image.parent)

    def restore(folder: Path, out: Path) -> Cost:
        target = folder / "out"
        target.mkdir()
        names = subprocess.run(
            ["borg", "list", "--short", folder / "store"],
            env={**os.environ, **env(folder)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        cost = run(
            ["borg", "extract", "--sparse", f"{folder}/store::{names[0]}"], environ=env(folder), cwd=target
        )
        (target / "disk.raw").rename(out)
        return cost

    return Tool("borg", prepare, capture, restore)


def zstd() -> Tool:
    return Tool(
        "zstd -1 -T2",
        lambda folder: (folder / "store").mkdir(),
        lambda folder, image: run(
            ["zstd", "-1", "-T2", "-q", "-f", image, "-o", folder / "store" / "disk.zst"]
        ),
        lambda folder, out: run(["zstd", "-d", "-q", "-f", folder / "store" / "disk.zst", "-o", out]),
        captures_twice=False,
    )


def _quiet(_: object) -> None:
    return None


def race(tools: list[Tool], image: Path, folder: Path, rounds: int) -> dict[str, dict[str, object]]:
    """Every tool in turn, `rounds` times; each on an empty store."""
    costs: dict[str, dict[str, list[Cost]]] = {tool.name: {} for tool in tools}
    stored: dict[str, int] = {}
    for _ in range(rounds):
        for tool in tools:
            place = folder / tool.name.split()[0]
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            tool.prepare(place)
            note = costs[tool.name]
            note.setdefault("first", []).append(tool.capture(place, image))
            stored[tool.name] = tree_bytes(place / "store")
            if tool.captures_twice:
                note.setdefault("unchanged", []).append(tool.capture(place, image))
            out = place / "restored.raw"
            note.setdefault("restore", []).append(tool.restore(place, out))
            if not filecmp.cmp(image, out, shallow=False):
                raise RuntimeError(f"{tool.name} restored other bytes")
            shutil.rmtree(place)
    return {
        name: {"stored_bytes": stored[name], **{kind: asdict(median(runs)) for kind, runs in kinds.items()}}
        for name, kinds in costs.items()
    }


def show(results: dict[str, dict[str, object]], data_bytes: int) -> None:
    """A table a person can read, with ratios to Lamina."""
    console = Console(width=120)
    for kind in ("first", "unchanged", "restore"):
        table = Table("tool", "wall s", "x", "CPU s", "x", "peak MiB", "GB/s", "stored MiB", title=f"{kind}")
        own = results["lamina"][kind]
        for name, result in results.items():
            cost = result.get(kind)
            if cost is None:
                continue
            table.add_row(
                name,
                f"{cost['wall_seconds']:.2f}",
                f"{cost['wall_seconds'] / own['wall_seconds']:.2f}",
                f"{cost['cpu_seconds']:.2f}",
                f"{cost['cpu_seconds'] / own['cpu_seconds']:.2f}",
                f"{cost['peak_mib']:.0f}",
                f"{data_bytes / cost['wall_seconds'] / 1e9:.2f}",
                f"{result['stored_bytes'] / 2**20:.0f}",
            )
        console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=2.2, help="GiB of real files in the image")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--folder", type=Path, default=Path("/dev/shm"), help="a tmpfs with room for six images"
    )
    parser.add_argument("--output", type=Path, default=Path("bench-results/peers.json"))
    arguments = parser.parse_args()
    found = [
        tool() for name, tool in (("restic", restic), ("borg", borg), ("zstd", zstd)) if shutil.which(name)
    ]
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        image = build_image(Path(scratch), int(arguments.gib * 2**30))
        data_bytes = image.stat().st_blocks * 512
        results = race([lamina(), *found], image, Path(scratch), arguments.rounds)
    show(results, data_bytes)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(
        json.dumps({"data_bytes": data_bytes, "rounds": arguments.rounds, "tools": results}, indent=2)
    )


if __name__ == "__main__":
    main()
