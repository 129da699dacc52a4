"""Carrying the plan out for accounts whose payments are overdue: what is due goes, in the order of the plan.

Whatever goes does so in one transaction with its line in the history of the account, and only if the account still
stands as it did when the plan was made and the plan still names it then: a payment stops everything at once, what its
owner decided to keep longer stays, a crash repeats nothing.
"""

import logging
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.accounts.history import AccountEvent, note_event
from lamina.control.accounts.records import AccountRecord
from lamina.control.accounts.states import AccountEventKind, AccountStanding
from lamina.control.arrears.facts import read_due_snapshots, read_policies
from lamina.control.arrears.plan import Cause, Departure, list_due, plan_arrears
from lamina.control.installation import Installation
from lamina.control.payments.queries import get_position
from lamina.control.payments.records import ArrearsRecord
from lamina.control.policies.delete import delete_policy
from lamina.control.policies.errors import PolicyNotFoundError
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.errors import SnapshotNotFoundError
from lamina.failures import Fault, Refusal
from lamina.ids import AccountId
from lamina.telemetry import get_logger, log, log_failure

_LOGGER: Final = get_logger(__name__)
BATCH: Final = 50
"""Others of the account wait for a transaction; fifty deletions take some tenths of a second."""


def carry_out_arrears(plant: Installation, *, batch: int = BATCH) -> None:
    """Delete what is due of all accounts whose payments are overdue. One that fails is logged; the others go on.

    Args:
        plant: the installation.
        batch: how much goes in one transaction.
    """
    query = (
        select(ArrearsRecord.account_id, AccountRecord.standing)
        .join(AccountRecord, AccountRecord.id == ArrearsRecord.account_id)
        .where(AccountRecord.standing != AccountStanding.NORMAL, ArrearsRecord.overdue_at.is_not(None))
        .order_by(ArrearsRecord.account_id)
    )
    with plant.database.reading() as session:
        accounts = session.execute(query).all()
    for account_id, standing in accounts:
        try:
            _carry_out(plant, account_id, standing, batch)
        except Fault as failure:
            log_failure(_LOGGER, "arrears could not be carried out", failure, account_id=account_id)


def _carry_out(plant: Installation, account_id: AccountId, standing: AccountStanding, batch: int) -> None:
    now = plant.clock.now()
    with plant.database.reading() as session:
        planned = [each.id for each in _plan_due(plant, session, account_id, now)]
    for start in range(0, len(planned), batch):
        with plant.database.transaction(of=account_id) as session:
            if session.get_one(AccountRecord, account_id).standing is not standing:
                return  # it has paid, or the next stage has begun: the next look plans anew
            due = _plan_due(plant, session, account_id, now, among=planned[start : start + batch])
            gone = [each for each in due if _delete(plant, session, account_id, each)]
            for each in gone:
                note_event(session, account_id, _tell(each), now)
        for each in gone:
            facts = {"account_id": account_id, "subject": each.id, "reason": each.detail}
            log(_LOGGER, logging.WARNING, "something of an account in arrears was deleted", **facts)


def _plan_due(
    plant: Installation,
    session: Session,
    account_id: AccountId,
    now: datetime,
    *,
    among: Collection[str] | None = None,
) -> Sequence[Departure]:
    """What goes now; of these ids, if any are given: what was due a moment ago may be kept longer meanwhile."""
    position = get_position(session, account_id, now, plant.tariff.rules)
    if position.course is None:
        return ()
    is_purging = position.standing is AccountStanding.PURGING
    snapshots = read_due_snapshots(session, account_id, now, is_purging=is_purging, among=among)
    policies = read_policies(session, account_id) if is_purging else ()
    due = list_due(plan_arrears(position.course, snapshots, policies), now)
    return [
        each
        for each in due
        if (is_purging or each.cause is Cause.RETENTION) and (among is None or each.id in among)
    ]


def _delete(plant: Installation, session: Session, account_id: AccountId, departure: Departure) -> bool:
    """Delete one thing; answers whether it went. What may not go at this moment is looked at again."""
    scope = plant.scope(session, account_id, departure.region_id)
    try:
        with session.begin_nested():
            if departure.snapshot_id is not None:
                delete_snapshot(scope, departure.snapshot_id)
            elif departure.policy_id is not None:
                delete_policy(scope, departure.policy_id)
    except (SnapshotNotFoundError, PolicyNotFoundError):
        return False  # its owner deleted it meanwhile
    except Refusal as refusal:
        facts = {"account_id": account_id, "subject": departure.id, "reason": str(refusal)}
        log(_LOGGER, logging.DEBUG, "something of an account in arrears stays", **facts)
        return False
    return True


def _tell(departure: Departure) -> AccountEvent:
    is_snapshot = departure.snapshot_id is not None
    return AccountEvent(
        kind=AccountEventKind.SNAPSHOT_DELETED if is_snapshot else AccountEventKind.POLICY_DELETED,
        subject=departure.id,
        region_id=departure.region_id,
        name=departure.name,
        reason=departure.detail,
    )
