"""Find the next points of the policies of a region anew, after its clock was replaced by another one."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.policies.records import PolicyRecord
from lamina.control.policies.schedule import find_next_point, open_zone
from lamina.control.regions.records import RegionRecord


def replan_policies(session: Session, region: RegionRecord, now: datetime) -> None:
    """Let the policies of a region go by its time zone from now on. Points that are due already run as they are.

    Raises:
        Fault: the time zone is unknown here.
    """
    zone = open_zone(region.time_zone)
    query = select(PolicyRecord).where(PolicyRecord.region_id == region.id, PolicyRecord.next_run_at > now)
    for policy in session.scalars(query):
        policy.next_run_at = find_next_point(policy.timetable, zone, now, policy.settled_until)
        policy.planned_at = now
    session.flush()
