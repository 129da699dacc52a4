"""All reconcilers of the control plane, and how often they run."""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

from lamina.control.arrears.carry_out import carry_out_arrears
from lamina.control.audit.forget import forget_old_calls
from lamina.control.billing.check import check_bills
from lamina.control.billing.close import close_months
from lamina.control.buckets.queries import forget_claims
from lamina.control.bulk_exports.drive import drive_bulk_exports
from lamina.control.bulk_exports.queries import forget_bulk_exports
from lamina.control.disks.start import restart_disks
from lamina.control.disks.tidy import (
    close_dead_connections,
    forget_leftover_clones,
    report_unknown_volumes,
)
from lamina.control.encryption.destroy import destroy_due_keys
from lamina.control.idempotency.replay import forget_outcomes
from lamina.control.images.compare import compare_images
from lamina.control.images.import_end import restart_imports
from lamina.control.images.restart import restart_images
from lamina.control.images.restart_copies import restart_image_copies
from lamina.control.images.scratch import forget_leftover_scratch
from lamina.control.installation import Installation
from lamina.control.payments.follow import follow_payments
from lamina.control.policies.copies import copy_automatic_snapshots
from lamina.control.policies.due import run_due_policies
from lamina.control.policies.forget import forget_runs
from lamina.control.provisioning.expire import expire_instances
from lamina.control.provisioning.restart import restart_emptied_disks, restart_instances
from lamina.control.shown_tasks.show import forget_shown_tasks
from lamina.control.snapshots.compare import compare_with_stores, list_places
from lamina.control.snapshots.expire import expire_snapshots
from lamina.control.snapshots.groups.restart import restart_groups
from lamina.control.snapshots.notes import write_notes
from lamina.control.snapshots.restart import restart_snapshots
from lamina.control.snapshots.sizes import count_sizes
from lamina.control.snapshots.usage import forget_usage, meter_usage
from lamina.engine.maintenance.sweep import sweep
from lamina.failures import LaminaError
from lamina.tasks.queue import forget_finished
from lamina.tasks.reconcile import Reconciler
from lamina.telemetry import get_logger, log, log_failure

_LOGGER: Final = get_logger(__name__)
_MINUTE: Final = 60.0
_HOUR: Final = 60 * _MINUTE
_KEEP_TASKS: Final = timedelta(days=30)
_AT_ONCE: Final = 500  # others wait for a transaction to end, and a day may have ended 10,000 tasks


def make_reconcilers(plant: Installation) -> tuple[Reconciler, ...]:
    """What keeps an installation in order, in the order in which it runs at start."""
    return tuple(
        Reconciler(name=job.__name__, every_seconds=seconds, run=partial(job, plant))
        for seconds, job in _list_jobs()
    )


def run_timely(plant: Installation) -> None:
    """Do once, here and now, what is regularly done to keep up with the clock; not what is done by the hour or more."""
    for seconds, job in _list_jobs():
        if seconds < _HOUR:
            job(plant)


def _list_jobs() -> tuple[tuple[float, Callable[[Installation], None]], ...]:
    return (
        (_MINUTE, restart_disks),
        (10 * _MINUTE, restart_instances),
        (10 * _MINUTE, restart_emptied_disks),
        (_MINUTE, restart_image_copies),
        (10 * _MINUTE, restart_imports),
        (10 * _MINUTE, restart_snapshots),
        (10 * _MINUTE, restart_groups),
        (10 * _MINUTE, restart_images),
        (1.0, drive_bulk_exports),
        (5.0, close_dead_connections),
        (_MINUTE, follow_payments),
        (_MINUTE, carry_out_arrears),
        (_MINUTE, expire_snapshots),
        (_MINUTE, expire_instances),
        (_MINUTE, destroy_due_keys),
        (2.0, count_sizes),
        (2.0, write_notes),
        (_MINUTE, meter_usage),
        (10 * _MINUTE, close_months),
        (5.0, run_due_policies),
        (_MINUTE, copy_automatic_snapshots),
        (_HOUR, compare_with_stores),
        (_HOUR, compare_images),
        (_HOUR, forget_leftover_clones),
        (_HOUR, forget_leftover_scratch),
        (_HOUR, report_unknown_volumes),
        (_HOUR, forget_old_rows),
        (_HOUR, analyse_tables),
        (_HOUR, forget_runs),
        (_HOUR, forget_old_calls),
        (6 * _HOUR, sweep_repositories),
        (24 * _HOUR, check_bills),
    )


def forget_old_rows(plant: Installation) -> None:
    """Drop tasks that ended long ago, and answers to ClientTokens that are not valid any more."""
    now = plant.clock.now()
    while True:
        with plant.database.transaction() as session:
            if forget_finished(session, before=now - _KEEP_TASKS, at_most=_AT_ONCE) < _AT_ONCE:
                break
    with plant.database.transaction() as session:
        forget_usage(session, now)
        forget_shown_tasks(session, before=now - _KEEP_TASKS)
        forget_bulk_exports(session, before=now - _KEEP_TASKS)
        forget_claims(session, now)
        forget_outcomes(session, before=now - plant.limits.idempotency)


def analyse_tables(plant: Installation) -> None:
    """Keep the database's idea of its own contents right."""
    plant.database.analyse()


def sweep_repositories(plant: Installation) -> None:
    """Remove from every repository what no snapshot reaches. A store that fails is logged; the others are swept."""
    for place in list_places(plant):
        facts: dict[str, object] = {
            "account_id": place.account_id,
            "region_id": place.region_id,
            "key_id": place.key_id,
        }
        try:
            repository = plant.repositories.find(place.account_id, place.region_id, place.key_id)
            if repository is None:
                continue
            report = sweep(repository)
        except LaminaError as failure:
            log_failure(_LOGGER, "a repository could not be swept", failure, **facts)
            continue
        facts |= {"removed_bytes": report.removed_bytes, "waiting_bytes": report.waiting_bytes}
        if report.damage:
            log(_LOGGER, logging.CRITICAL, "a sweep met damage", **facts, damage=report.damage)
        else:
            log(_LOGGER, logging.INFO, "a repository was swept", **facts)
