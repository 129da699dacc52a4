"""Rotate a key: new material, and whatever the old one sealed is sealed with it; no data is rewritten.

    renew    there is a newer version, with which everything new is sealed from now on
    change   the secret of the key's repository
    rewrap   the secrets of the key's disks
    forget   the material before is destroyed, since nothing is sealed with it any more

Wherever this is interrupted everything can be read: repositories are tried with every version that is there, a disk
says which one seals its secret, and none is destroyed before all are done. So there is nothing to undo, either. What
the rows name and is not there is out of reach, not gone: the material before stays until it is back.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import WITHOUT_FILES
from lamina.control.disks.volumes import VolumeMissingError
from lamina.control.installation import Installation
from lamina.control.keys.queries import find_usable_key
from lamina.control.keys.records import KeyRecord
from lamina.control.repositories import Place
from lamina.control.scope import Scope
from lamina.control.snapshots.stored import require_no_data
from lamina.ids import AccountId, KeyId, RegionId, TaskId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue
from lamina.tasks.task import QUICK, Step, TaskKind

_RENEW: Final = "renew"


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateArguments:
    """Which key, and whose."""

    account_id: AccountId
    region_id: RegionId
    key_id: KeyId

    @property
    def place(self) -> Place:
        """Where the key's repository is."""
        return Place(account_id=self.account_id, region_id=self.region_id, key_id=self.key_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """Checkpoint: which version is the new one."""

    version: int


def rotate_key(scope: Scope, key_id: KeyId) -> TaskId:
    """Start rotating a key, also the service's own; answers the task. The key is used as before meanwhile.

    Raises:
        KeyNotFoundError: the account has no such key in the region.
        KeyNotEnabledError: it is disabled, or going to be deleted.
        TaskBusyError: it is being rotated already.
    """
    key = find_usable_key(scope, key_id)
    arguments = RotateArguments(account_id=key.account_id, region_id=key.region_id, key_id=key.id)
    key.task_id = enqueue(scope.session, scope.clock, ROTATE_KEY, arguments, key=key.id)
    return key.task_id


def _renew(plant: Installation, task: RotateArguments, context: StepContext) -> None:
    chosen = context.load(_Chosen)
    if chosen is None:
        with plant.database.reading() as session:
            known = session.get_one(KeyRecord, task.key_id).version
        chosen = _Chosen(version=max([known, *plant.keys.list_versions(task.key_id)]) + 1)
        context.save(chosen)
    plant.keys.renew(task.key_id, chosen.version)


def _change(plant: Installation, task: RotateArguments, context: StepContext) -> None:
    repository = plant.repositories.find(task.account_id, task.region_id, task.key_id)
    if repository is None:
        require_no_data(plant, task.place)
    else:
        repository.change_secret(plant.repositories.derive_secret(task.place, _load(context)))


def _rewrap(plant: Installation, task: RotateArguments, context: StepContext) -> None:
    version = _load(context)
    with plant.database.reading() as session:
        with_files = DiskRecord.state.not_in(WITHOUT_FILES)
        known = set(
            session.scalars(select(DiskRecord.id).where(DiskRecord.key_id == task.key_id, with_files))
        )
    disks = sorted(known.union(plant.volumes.list_disks()))
    for done, disk_id in enumerate(disks):
        context.check()
        context.progress(done, len(disks))
        found = plant.volumes.keys.find(disk_id)
        if found is not None and found[0] == task.key_id:
            plant.volumes.keys.rewrap(disk_id, version)
        elif disk_id in known:
            raise VolumeMissingError(disk_id, plant.volumes.raw_path(disk_id))


def _forget(plant: Installation, task: RotateArguments, context: StepContext) -> None:
    newest = _load(context)
    for version in plant.keys.list_versions(task.key_id):
        if version < newest:
            plant.keys.forget(task.key_id, version)


def _load(context: StepContext) -> int:
    chosen = context.load(_Chosen, step=_RENEW)
    assert chosen is not None, "the first step saves it"
    return chosen.version


def _settle(plant: Installation, session: Session, task: RotateArguments, outcome: Outcome) -> None:
    key = session.get(KeyRecord, task.key_id)
    chosen = outcome.checkpoints.load(_RENEW, _Chosen)
    if key is not None and chosen is not None and outcome.failure is None:
        key.version = chosen.version
        key.rotated_at = plant.clock.now()


ROTATE_KEY: Final = TaskKind(
    name="rotate-key",
    arguments=RotateArguments,
    lane=QUICK,
    steps=(
        Step(name=_RENEW, run=_renew),
        Step(name="change", run=_change),
        Step(name="rewrap", run=_rewrap),
        Step(name="forget", run=_forget),
    ),
    settle=_settle,
)
