"""The course of arrears: how the standing of an account follows from what is due, and from time. Pure.

    normal --a bill is due and not paid--> overdue --24 hours--> suspended --15 days after overdue--> purging
       ^                                     |                       |                                  |
       +----------------- everything that is due is paid -----------+----------------------------------+

Each stage counts from the instant at which it was due to begin, or from when the service noticed, if that was much
later: time in which no service ran, so that nobody could see what was coming, is nobody's arrears. That also keeps a
clock that jumps ahead from running through all stages at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from lamina.control.accounts.states import AccountStanding
from lamina.control.tariff.rules import RuleBook

LATE: Final = timedelta(hours=1)
"""Reconcilers look by the minute; what they notice later than this was not to be seen before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where an account stands.

    Attributes:
        standing: its standing.
        overdue_at: since when payments are overdue; None while none are.
        stage_at: when the standing began.
        next_at: when it changes next if nothing is paid; None if it does not.
    """

    standing: AccountStanding
    overdue_at: datetime | None
    stage_at: datetime
    next_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """When what happens to an account that pays nothing."""

    overdue_at: datetime
    suspended_at: datetime
    purging_at: datetime


def follow_course(stage: Stage, first_due: datetime | None, now: datetime, rules: RuleBook) -> Stage:
    """Where an account stands now.

    Args:
        stage: where it stood when that was last looked at.
        first_due: until when the oldest bill that is not paid is to be paid; None if there is none.
        now: the present.
        rules: those of the instant at which payments became overdue count.
    """
    if first_due is None or first_due > now:
        return _leave(stage, first_due, now)
    if stage.overdue_at is None:
        stage = _begin(stage, first_due, now, rules)
    elif stage.stage_at > now + LATE:  # the clock was far ahead, and was set right: count from here
        stage = replace(_set_next(replace(stage, stage_at=now), rules), overdue_at=min(stage.overdue_at, now))
    while stage.next_at is not None and stage.next_at <= now:
        standing = _FOLLOWING[stage.standing]
        stage = _set_next(replace(stage, standing=standing, stage_at=_on_time(stage.next_at, now)), rules)
    return stage


def foresee(stage: Stage, first_due: datetime | None, now: datetime, rules: RuleBook) -> Course | None:
    """What happens to an account that pays nothing of its bills; None if it owes nothing that is ever due."""
    if stage.overdue_at is None:
        if first_due is None:
            return None
        stage = _begin(stage, first_due, max(first_due, now), rules)
    overdue_at = stage.overdue_at
    assert overdue_at is not None, "it has begun"
    begun = {stage.standing: stage.stage_at}
    while stage.next_at is not None:
        standing, at = _FOLLOWING[stage.standing], max(stage.next_at, now)
        stage = _set_next(replace(stage, standing=standing, stage_at=at), rules)
        begun[standing] = at
    until_suspended = timedelta(hours=rules.find(overdue_at).suspension_hours)
    return Course(
        overdue_at=overdue_at,
        suspended_at=begun.get(AccountStanding.SUSPENDED, overdue_at + until_suspended),
        purging_at=begun[AccountStanding.PURGING],
    )


def list_steps(before: AccountStanding, after: AccountStanding) -> Iterator[AccountStanding]:
    """The standings on the way from one to another, without the first."""
    while before is not after:
        before = after if after is AccountStanding.NORMAL else _FOLLOWING[before]
        yield before


_FOLLOWING: Final = {
    AccountStanding.NORMAL: AccountStanding.OVERDUE,
    AccountStanding.OVERDUE: AccountStanding.SUSPENDED,
    AccountStanding.SUSPENDED: AccountStanding.PURGING,
}


def _leave(stage: Stage, first_due: datetime | None, now: datetime) -> Stage:
    """Nothing is due: an account whose payments were overdue is as good as any other at once."""
    if stage.overdue_at is None:
        return replace(stage, next_at=first_due)  # whoever was suspended by hand stays so
    return Stage(standing=AccountStanding.NORMAL, overdue_at=None, stage_at=now, next_at=first_due)


def _begin(stage: Stage, first_due: datetime, now: datetime, rules: RuleBook) -> Stage:
    at = _on_time(first_due, now)
    if stage.standing is AccountStanding.NORMAL:
        stage = replace(stage, standing=AccountStanding.OVERDUE)
    if stage.standing is AccountStanding.OVERDUE:
        return _set_next(replace(stage, overdue_at=at, stage_at=at), rules)
    # it was suspended by hand before: all the time counts that others have
    purging_at = at + timedelta(days=rules.find(at).purge_days)
    return replace(stage, overdue_at=at, stage_at=at, next_at=purging_at)


def _set_next(stage: Stage, rules: RuleBook) -> Stage:
    assert stage.overdue_at is not None, "stages have a beginning"
    rule = rules.find(stage.overdue_at)
    until_suspended = timedelta(hours=rule.suspension_hours)
    lengths = {
        AccountStanding.OVERDUE: until_suspended,
        AccountStanding.SUSPENDED: timedelta(days=rule.purge_days) - until_suspended,
    }
    length = lengths.get(stage.standing)
    return replace(stage, next_at=None if length is None else stage.stage_at + length)


def _on_time(planned: datetime, noticed: datetime) -> datetime:
    return planned if noticed - planned <= LATE else noticed
