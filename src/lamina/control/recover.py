"""Rebuild the rows from the object stores after the loss of the database (guarantee G2).

What is needed: the installation's folder with `root.key`, and the stores. What comes back: accounts that have a
repository, their snapshots with names, tags, retention, locks and groups, and the disks whose files are still in the
folder. What cannot: access keys (except the first one, which `credentials.json` has), images, disks without any
snapshot, and what changed in the last seconds before the loss, when its note was not written yet.
"""

from dataclasses import dataclass

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
from lamina.control.snapshots.annotations import DiskFacts
from lamina.control.snapshots.records import SnapshotRecord
from lamina.engine.repository import Repository
from lamina.failures import Corruption
from lamina.ids import AccountId, DiskId, KeyId, RegionId, SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryReport:
    """What came back, and what did not.

    Attributes:
        accounts: accounts that got their row back.
        snapshots: snapshots that did.
        disks: disks that did.
        damaged_notes: those of them whose note is damaged: they come back as they were taken, as manual snapshots
            without retention; a lock on them is lost.
        foreign_snapshots: snapshots that no service made; they stay in their repository.
        unknown_disks: files of disks that no snapshot tells anything about; they stay where they are.
        lost_keys: keys of repositories whose material is not in the installation's folder: these are left out.
    """

    accounts: tuple[AccountId, ...]
    snapshots: tuple[SnapshotId, ...]
    disks: tuple[DiskId, ...]
    damaged_notes: tuple[SnapshotId, ...]
    foreign_snapshots: tuple[SnapshotId, ...]
    unknown_disks: tuple[DiskId, ...]
    lost_keys: tuple[KeyId, ...]


@dataclass(slots=True)
class _Findings:
    """What one account has in one region."""

    snapshots: list[SnapshotId]
    foreign: list[SnapshotId]
    damaged: list[SnapshotId]
    disks: dict[DiskId, DiskFacts]  # as the latest snapshot of each tells


def recover(installation: Installation) -> RecoveryReport:
    """Add every row that the stores of the known regions can tell and that is not there. Runs again safely.

    Raises:
        Corruption: a manifest is damaged.
        Fault: a store or the database failed.
        Refusal: a store cannot be opened, or is not this installation's.
    """
    accounts: list[AccountId] = []
    snapshots: list[SnapshotId] = []
    foreign: list[SnapshotId] = []
    damaged: list[SnapshotId] = []
    disks: list[DiskId] = []
    lost_keys: list[KeyId] = []
    with installation.database.reading() as session:
        regions = [region.id for region in list_regions(session)]
    for region_id in regions:
        for place in installation.repositories.list_places(region_id):
            if not _has_material(installation, place):
                assert place.key_id is not None, "the root key is there"
                lost_keys.append(place.key_id)
                continue
            if _ensure_account(installation, place.account_id):
                accounts.append(place.account_id)
            _ensure_key(installation, place)
            repository = installation.repositories.find(place.account_id, region_id, place.key_id)
            if repository is None:
                continue
            findings = _recover_snapshots(installation, repository, place)
            snapshots += findings.snapshots
            foreign += findings.foreign
            damaged += findings.damaged
            disks += _recover_disks(installation, findings, place.account_id, region_id)
    return RecoveryReport(
        accounts=tuple(accounts),
        snapshots=tuple(snapshots),
        disks=tuple(disks),
        damaged_notes=tuple(damaged),
        foreign_snapshots=tuple(foreign),
        unknown_disks=tuple(_list_unknown(installation)),
        lost_keys=tuple(lost_keys),
    )


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


def _recover_snapshots(installation: Installation, repository: Repository, place: Place) -> _Findings:
    findings = _Findings([], [], [], {})
    manifests = [repository.read_manifest(snapshot_id) for snapshot_id in repository.list_snapshots()]
    for manifest in sorted(manifests, key=lambda each: each.created_at):
        note = find_note(repository, manifest.snapshot_id)
        with installation.database.transaction() as session:
            if session.get(SnapshotRecord, manifest.snapshot_id) is not None:
                continue
            scope = installation.scope(session, place.account_id, place.region_id)
            disk = adopt_snapshot(scope, manifest, note, place.key_id)
        if disk is None:
            findings.foreign.append(manifest.snapshot_id)
        else:
            findings.snapshots.append(manifest.snapshot_id)
            if isinstance(note, Corruption):
                findings.damaged.append(manifest.snapshot_id)
            findings.disks[disk.id] = disk
    return findings


def _recover_disks(
    installation: Installation, findings: _Findings, account_id: AccountId, region_id: RegionId
) -> list[DiskId]:
    recovered = []
    for facts in findings.disks.values():
        if not installation.volumes.raw_path(facts.id).exists():
            continue  # it was deleted, or lay on a host that is gone; its snapshots make new disks
        with installation.database.transaction() as session:
            if session.get(DiskRecord, facts.id) is None:
                sealing = installation.volumes.keys.find(facts.id)
                key_id = sealing[0] if sealing is not None else None
                _add_disk(installation.scope(session, account_id, region_id), facts, key_id)
                recovered.append(facts.id)
    return recovered


def _add_disk(scope: Scope, facts: DiskFacts, key_id: KeyId | None) -> None:
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
            size_gib=facts.size_gib,
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
