"""Rebuild the rows from the object stores after the loss of the database (guarantee G2).

What is needed: the installation's folder with `root.key`, and the stores. What comes back: accounts that have a
repository, their snapshots with names, tags, retention, locks and groups, and the disks whose files are still in the
folder. What cannot: access keys (except the first one, which `credentials.json` has), images, disks without any
snapshot, what was made from which snapshot, and what changed in the last seconds before the loss, when its note was not
written yet. What is damaged costs itself and nothing else.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from lamina.control.accounts.create import create_account
from lamina.control.accounts.records import AccountRecord
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.installation import Installation
from lamina.control.keys.records import KeyRecord
from lamina.control.keys.states import KeyOrigin, KeyState
from lamina.control.regions.queries import list_regions
from lamina.control.regions.records import ZoneRecord
from lamina.control.repositories import Place
from lamina.control.scope import Scope
from lamina.control.snapshots.adopt import adopt_snapshot, find_note
from lamina.control.snapshots.annotations import DiskFacts, read_annotations
from lamina.control.snapshots.records import SnapshotRecord
from lamina.engine.manifest import Manifest
from lamina.engine.repository import Repository, SnapshotNotFoundError
from lamina.failures import Corruption
from lamina.ids import AccountId, DiskId, KeyId, RegionId, SnapshotId
from lamina.units import GIB, count_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryReport:
    """What came back, and what did not.

    Attributes:
        accounts: accounts that got their row back.
        snapshots: snapshots that did.
        disks: disks that did.
        damaged_snapshots: snapshots whose manifest is damaged; they stay in their repository, without a row.
        damaged_notes: those of them whose note is damaged: they come back as they were taken, as manual snapshots
            without retention; a lock on them is lost.
        foreign_snapshots: snapshots that no service made; they stay in their repository.
        unknown_disks: files of disks that no snapshot tells anything about; they stay where they are.
        lost_keys: keys of repositories whose material is not in the installation's folder: these are left out.
        damaged_repositories: repositories that cannot be opened because their key slots are damaged.
    """

    accounts: tuple[AccountId, ...]
    snapshots: tuple[SnapshotId, ...]
    disks: tuple[DiskId, ...]
    damaged_snapshots: tuple[SnapshotId, ...]
    damaged_notes: tuple[SnapshotId, ...]
    foreign_snapshots: tuple[SnapshotId, ...]
    unknown_disks: tuple[DiskId, ...]
    lost_keys: tuple[KeyId, ...]
    damaged_repositories: tuple[str, ...]


class _Clue(NamedTuple):
    """What a snapshot tells of its disk. One of the disk itself counts for more than a copy, and a later one for more.

    Attributes:
        is_original: it is no copy, and so where the disk is.
        taken_at: when.
        snapshot_id: tells two of one instant apart.
        account_id: whose it is.
        region_id: where the disk is, as far as the snapshot knows.
        facts: the row of the disk as it was then.
    """

    is_original: bool
    taken_at: datetime
    snapshot_id: SnapshotId
    account_id: AccountId
    region_id: RegionId
    facts: DiskFacts


@dataclass(slots=True)
class _Findings:
    """What was found so far."""

    accounts: list[AccountId] = field(default_factory=list)
    snapshots: list[SnapshotId] = field(default_factory=list)
    damaged: list[SnapshotId] = field(default_factory=list)
    damaged_notes: list[SnapshotId] = field(default_factory=list)
    foreign: list[SnapshotId] = field(default_factory=list)
    lost_keys: list[KeyId] = field(default_factory=list)
    damaged_repositories: list[str] = field(default_factory=list)
    disks: dict[DiskId, _Clue] = field(default_factory=dict)

    def note(self, clue: _Clue) -> None:
        """Keep the best clue of each disk."""
        known = self.disks.get(clue.facts.id)
        if known is None or clue[:3] > known[:3]:
            self.disks[clue.facts.id] = clue


def recover(installation: Installation) -> RecoveryReport:
    """Add every row that the stores of the known regions can tell and that is not there. Runs again safely.

    Raises:
        Fault: a store or the database failed; what was added until then stays, and a new run goes on.
        Refusal: a store cannot be opened, or is not this installation's.
    """
    findings = _Findings()
    with installation.database.reading() as session:
        regions = [region.id for region in list_regions(session)]
    for region_id in regions:
        for place in installation.repositories.list_places(region_id):
            _recover_place(installation, place, findings)
    disks = [disk_id for disk_id, clue in findings.disks.items() if _recover_disk(installation, clue)]
    return RecoveryReport(
        accounts=tuple(findings.accounts),
        snapshots=tuple(findings.snapshots),
        disks=tuple(disks),
        damaged_snapshots=tuple(findings.damaged),
        damaged_notes=tuple(findings.damaged_notes),
        foreign_snapshots=tuple(findings.foreign),
        unknown_disks=tuple(_list_unknown(installation)),
        lost_keys=tuple(findings.lost_keys),
        damaged_repositories=tuple(findings.damaged_repositories),
    )


def _recover_place(installation: Installation, place: Place, findings: _Findings) -> None:
    if not _has_material(installation, place):
        assert place.key_id is not None, "the root key is there"
        findings.lost_keys.append(place.key_id)
        return
    if _ensure_account(installation, place.account_id):
        findings.accounts.append(place.account_id)
    _ensure_key(installation, place)
    try:
        repository = installation.repositories.find(place.account_id, place.region_id, place.key_id)
    except Corruption:
        findings.damaged_repositories.append(f"{place.region_id}/{place.name}")
        return
    for snapshot_id in repository.list_snapshots() if repository is not None else ():
        assert repository is not None, "it has snapshots"
        try:
            _recover_snapshot(installation, repository, place, snapshot_id, findings)
        except Corruption:
            findings.damaged.append(snapshot_id)
        except SnapshotNotFoundError:
            continue  # a capture that a sweep revoked half-way


def _ensure_account(installation: Installation, account_id: AccountId) -> bool:
    with installation.database.transaction() as session:
        if session.get(AccountRecord, account_id) is not None:
            return False
        create_account(session, installation.clock, name="recovered", account_id=account_id)
        return True


def _has_material(installation: Installation, place: Place) -> bool:
    key_id = place.key_id
    return key_id is None or (
        not installation.keys.is_destroyed(key_id) and bool(installation.keys.list_versions(key_id))
    )


def _ensure_key(installation: Installation, place: Place) -> None:
    if place.key_id is None:
        return
    with installation.database.transaction() as session:
        if session.get(KeyRecord, place.key_id) is None:
            session.add(
                KeyRecord(
                    id=place.key_id,
                    account_id=place.account_id,
                    region_id=place.region_id,
                    origin=KeyOrigin.CUSTOMER,
                    state=KeyState.ENABLED,
                    description="recovered",
                    version=min(installation.keys.list_versions(place.key_id)),
                    created_at=installation.clock.now(),
                )
            )


def _recover_snapshot(
    installation: Installation,
    repository: Repository,
    place: Place,
    snapshot_id: SnapshotId,
    findings: _Findings,
) -> None:
    """Add the row of a snapshot, unless it is there, and note what it tells of its disk.

    Raises:
        Corruption: its manifest is damaged.
        SnapshotNotFoundError: it has none.
    """
    manifest = repository.read_manifest(snapshot_id)
    clue = _find_clue(manifest, place)
    if clue is None:
        findings.foreign.append(snapshot_id)
        return
    note = find_note(repository, snapshot_id)
    with installation.database.transaction() as session:
        is_new = session.get(SnapshotRecord, snapshot_id) is None
        if is_new:
            scope = installation.scope(session, place.account_id, place.region_id)
            adopt_snapshot(scope, manifest, note, place.key_id)
    findings.note(clue)
    if is_new:
        findings.snapshots.append(snapshot_id)
        if isinstance(note, Corruption):
            findings.damaged_notes.append(snapshot_id)


def _find_clue(manifest: Manifest, place: Place) -> _Clue | None:
    known = read_annotations(manifest.annotations)
    if known is None:
        return None
    snapshot, disk = known
    is_original = snapshot.source_snapshot_id is None
    return _Clue(
        is_original=is_original,
        taken_at=snapshot.created_at,
        snapshot_id=manifest.snapshot_id,
        account_id=place.account_id,
        region_id=place.region_id if is_original else snapshot.source_region_id or place.region_id,
        facts=disk,
    )


def _recover_disk(installation: Installation, clue: _Clue) -> bool:
    """Add the row of a disk whose file is there; answers whether it had none."""
    disk_id = clue.facts.id
    try:
        size_bytes = installation.volumes.raw_path(disk_id).stat().st_size
    except FileNotFoundError:
        return False  # it was deleted, or lay on a host that is gone; its snapshots make new disks
    with installation.database.reading() as session:
        zone = session.get(ZoneRecord, clue.facts.zone_id)
    region_id = zone.region_id if zone is not None else clue.region_id  # of a copy of a copy only zones know
    sealing = installation.volumes.keys.find(disk_id)
    place = Place(
        account_id=clue.account_id, region_id=region_id, key_id=sealing[0] if sealing is not None else None
    )
    if not _has_material(installation, place):
        return False  # nobody reads it any more
    _ensure_key(installation, place)
    with installation.database.transaction() as session:
        if session.get(DiskRecord, disk_id) is not None:
            return False
        _add_disk(
            installation.scope(session, clue.account_id, region_id), clue.facts, size_bytes, place.key_id
        )
        return True


def _add_disk(scope: Scope, facts: DiskFacts, size_bytes: int, key_id: KeyId | None) -> None:
    if scope.session.get(ZoneRecord, facts.zone_id) is None:
        scope.session.add(ZoneRecord(id=facts.zone_id, region_id=scope.region_id, local_name=facts.zone_id))
        scope.session.flush()
    scope.session.add(
        DiskRecord(
            id=facts.id,
            account_id=scope.account_id,
            region_id=scope.region_id,
            zone_id=facts.zone_id,
            name=facts.name,
            description=facts.description,
            role=facts.role,
            category=facts.category,
            performance_level=facts.performance_level,
            size_gib=count_steps(size_bytes, GIB),  # it may have grown since the snapshot
            state=DiskState.AVAILABLE,
            was_attached=True,  # there are snapshots of it
            created_at=facts.created_at,
            key_id=key_id,
        )
    )
    scope.session.flush()


def _list_unknown(installation: Installation) -> list[DiskId]:
    with installation.database.reading() as session:
        return [each for each in installation.volumes.list_disks() if session.get(DiskRecord, each) is None]
