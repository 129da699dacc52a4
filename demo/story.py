"""The story: a disk with real files is snapshotted, changed, read, rolled back, verified, damaged and mended."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import SEEK_CUR
from pathlib import Path
from typing import Any, Final

from demo import image as images
from demo.image import Image, find_differences, hash_file, locate_file, make_image
from demo.nbd import NbdClient, NbdError
from demo.product import DAMAGED, DemoFailedError, Service, hash_disk, running
from demo.screen import Screen, format_size

_DISK_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where the story plays.

    Attributes:
        screen: who is told.
        folder: where everything is kept.
        file_bytes: how much of this machine's files goes onto the disk.
        keep: leave the service running.
    """

    screen: Screen
    folder: Path
    file_bytes: int
    keep: bool


def tell(scene: Scene) -> Service:
    """Play all of it; stops with an exception at the first thing that is not as it must be."""
    screen, started = scene.screen, time.monotonic()
    with screen.step("A disk with a real file system") as found:
        image = make_image(scene.folder, disk_bytes=_DISK_BYTES, file_bytes=scene.file_bytes)
        original = hash_file(image.path)
        found(f"{len(image.files):,} files of this machine, {format_size(image.file_bytes)}, on ext4")
    with running(scene.folder / "data", scene.folder / "service.log", keep=scene.keep) as service:
        key = scene.folder / "account.key"
        play = _Play(scene, service, image, original, key)
        disk_id = play.import_disk()
        first = play.take_first_snapshot(disk_id)
        changed = play.change_files(disk_id)
        second = play.take_second_snapshot(disk_id, changed)
        service.write_key(key)
        play.read_one_file(first)
        play.roll_back(disk_id, first)
        play.verify()
        play.damage_and_mend({first, second})
        screen.show_figures(time.monotonic() - started)
    return service


@dataclass(slots=True)
class _Play:
    """The steps that need the running service, in their order."""

    scene: Scene
    service: Service
    image: Image
    original: str
    key: Path

    def import_disk(self) -> str:
        """The image becomes a disk of the service."""
        with self.screen.step("Import it with `lamina disk import`") as found:
            started = time.monotonic()
            disk_id = self.service.import_disk(self.image.path)
            seconds = time.monotonic() - started
            size = self.image.path.stat().st_blocks * 512
            found(f"{disk_id}, service at {self.service.endpoint}")
        self.screen.record(
            "import", size=size, seconds=seconds, note=f"of a disk of {format_size(_DISK_BYTES)}"
        )
        return disk_id

    def take_first_snapshot(self, disk_id: str) -> str:
        """A full snapshot, asked for with the official SDK."""
        with self.screen.step("First snapshot, asked for with the official ECS SDK") as found:
            started = time.monotonic()
            snapshot = self._snapshot(disk_id, "before-the-change")
            seconds = time.monotonic() - started
            used, stored = snapshot.full_snapshot_size_in_bytes, self.service.stored_bytes
            if not stored < used < _DISK_BYTES:
                raise DemoFailedError(f"{stored} bytes were stored for {used} used ones of {_DISK_BYTES}")
            found(
                f"{snapshot.snapshot_id}: {format_size(used)} used, {format_size(stored)} stored and encrypted"
            )
        self.screen.record(
            "first snapshot", size=stored, seconds=seconds, note=f"{stored / used:.0%} of what is used"
        )
        return str(snapshot.snapshot_id)

    def change_files(self, disk_id: str) -> int:
        """Files are removed and written, and what changed goes to the disk over NBD; returns the changed bytes."""
        with self.screen.step("Change files on the disk, over NBD") as found:
            changed = self.scene.folder / "changed.img"
            touched = images.change_copy(self.image, changed)
            written = runs = 0
            started = time.monotonic()
            with self.service.connected(disk_id, self.disk_socket), NbdClient(self.disk_socket) as disk:
                for run in find_differences(self.image.path, changed):
                    disk.write(run.offset, run.data)
                    written += len(run.data)
                    runs += 1
                disk.flush()
            seconds = time.monotonic() - started
            found(f"{touched} files removed or written: {format_size(written)} in {runs} places")
        self.screen.record("changed", size=written, seconds=seconds, note=f"{runs} places")
        return written

    def take_second_snapshot(self, disk_id: str, changed_bytes: int) -> str:
        """An incremental snapshot: what it adds to the store follows what changed."""
        with self.screen.step("Second snapshot: incremental") as found:
            before, started = self.service.stored_bytes, time.monotonic()
            snapshot = self._snapshot(disk_id, "after-the-change")
            seconds = time.monotonic() - started
            added = self.service.stored_bytes - before
            # Scattered changes cost whole blocks of 64 KiB: sixteen times a block of 4 KiB at the very worst.
            if not 0 < added < 16 * changed_bytes:
                raise DemoFailedError(f"{changed_bytes} changed bytes added {added} bytes to the store")
            found(f"{snapshot.snapshot_id}: {format_size(added)} more in the store")
        note = f"{added / changed_bytes:.2f} times what changed"
        self.screen.record("second snapshot", size=added, seconds=seconds, note=note)
        return str(snapshot.snapshot_id)

    def read_one_file(self, snapshot_id: str) -> None:
        """A file is read out of the first snapshot without restoring it: only its blocks are fetched."""
        with self.screen.step("One file out of the first snapshot, which is not restored for that") as found:
            name, places = self._choose_file()
            with self._served(snapshot_id) as disk:
                started = time.monotonic()
                content = b"".join(disk.read(offset, length) for offset, length in places)
                seconds = time.monotonic() - started
            expected = self.image.files[name].read_bytes()
            if content[: len(expected)] != expected:
                raise DemoFailedError(f"{name} in the snapshot is not what it was")
            found(f"/{name}, as it was")
        self.screen.record(
            "one file", size=len(expected), seconds=seconds, note="over NBD, from the object store"
        )

    def roll_back(self, disk_id: str, snapshot_id: str) -> None:
        """ResetDisk, and then every byte of the disk is compared with the original."""
        with self.screen.step("Roll the disk back with ResetDisk, and compare every byte") as found:
            with self.service.connected(disk_id, self.disk_socket) as uri:
                if hash_disk(uri) == self.original:
                    raise DemoFailedError("the disk should have changed, and has not")
            started = time.monotonic()
            self.service.reset_disk(disk_id, snapshot_id)
            seconds = time.monotonic() - started
            with self.service.connected(disk_id, self.disk_socket) as uri:
                if hash_disk(uri) != self.original:
                    raise DemoFailedError("the disk is not what it was after ResetDisk")
            found(f"sha256 {self.original[:16]}… as at the start, read by nbdcopy")
        self.screen.record("rollback", size=_DISK_BYTES, seconds=seconds, note="every byte compared")

    def verify(self) -> None:
        """Everything in the repository is read and authenticated."""
        with self.screen.step("Verify with `lamina repo verify --full`") as found:
            started = time.monotonic()
            report = self._read_report(expected=0)
            seconds = time.monotonic() - started
            found(f"sound: {report['snapshots']} snapshots in {report['packs']} packs")
        self.screen.record(
            "verify", size=report["read_bytes"], seconds=seconds, note="every byte authenticated"
        )

    def damage_and_mend(self, snapshot_ids: set[str]) -> None:
        """One byte of one pack is turned over: it is named, never served, and not papered over."""
        with self.screen.step("Turn over one byte in the object store") as found:
            packs = [path for path in (self.service.store / "data").rglob("*") if path.is_file()]
            pack = max(packs, key=lambda path: path.stat().st_size)
            _flip(pack)
            spoilt = hash_file(pack)
            bad = self._find_damage(snapshot_ids)
            found(
                f"named: {bad['snapshot_id']}, bytes {bad['offset']:,} to {bad['offset'] + bad['length'] - 1:,}"
            )
            self._check_not_served(bad)
            found("reading there over NBD is an error; the rest is served")
            if hash_file(pack) != spoilt:
                raise DemoFailedError("something changed the damaged pack: repair must never be silent")
            _flip(pack)
            self._read_report(expected=0)
            found("nothing was repaired behind our back; with the byte turned back, all is sound again")

    @property
    def screen(self) -> Screen:
        """Who is told."""
        return self.scene.screen

    @property
    def disk_socket(self) -> Path:
        """Where the disk is served."""
        return self.scene.folder / "disk.sock"

    @contextmanager
    def _served(self, snapshot_id: str) -> Iterator[NbdClient]:
        socket = self.scene.folder / "snapshot.sock"
        with self.service.serving_snapshot(snapshot_id, self.key, socket), NbdClient(socket) as disk:
            yield disk

    def _find_damage(self, snapshot_ids: set[str]) -> dict[str, Any]:
        report = self._read_report(expected=DAMAGED)
        ranges: list[dict[str, Any]] = report["damaged_ranges"]
        if not ranges or not {bad["snapshot_id"] for bad in ranges} <= snapshot_ids:
            raise DemoFailedError(f"verify should have named a snapshot: {report}")
        return ranges[0]

    def _snapshot(self, disk_id: str, name: str) -> Any:  # noqa: ANN401 - the SDK's model
        with self.screen.progress(name) as watch:
            return self.service.create_snapshot(disk_id, name, watch)

    def _choose_file(self) -> tuple[str, list[tuple[int, int]]]:
        """A file of some size without holes, and where it lies on the disk."""
        sizes = {name: path.stat().st_size for name, path in self.image.files.items()}
        for name in sorted(sizes, key=lambda name: abs(sizes[name] - (1 << 20)))[:50]:
            places = locate_file(self.image.path, name)
            if 0 <= sum(length for _, length in places) - sizes[name] < places[0][1]:
                return name, places
        raise DemoFailedError("there is no file of about 1 MiB on this disk")

    def _read_report(self, *, expected: int) -> Any:  # noqa: ANN401 - JSON
        done = self.service.verify(self.key)
        if done.code != expected:
            raise DemoFailedError(
                f"lamina repo verify ended with {done.code}, not {expected}: {done.messages.strip()}"
            )
        return json.loads(done.output)

    def _check_not_served(self, bad: dict[str, Any]) -> None:
        with self._served(bad["snapshot_id"]) as disk:
            try:
                disk.read(bad["offset"], bad["length"])
            except NbdError:
                disk.read(0, 4096)
                return
        raise DemoFailedError("damaged bytes were served")


def _flip(path: Path) -> None:
    """Turn over the lowest bit of the byte in the middle of a file."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, SEEK_CUR)
        file.write(bytes([byte ^ 1]))
