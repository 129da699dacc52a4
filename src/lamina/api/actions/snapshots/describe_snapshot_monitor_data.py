"""DescribeSnapshotMonitorData."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.filters import parse_time
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.control.snapshots.states import SnapshotCategory
from lamina.control.snapshots.usage import KEPT, list_usage
from lamina.ids import RegionId

_MAX_POINTS: Final = 400
_PERIODS: Final = (60, 600, 3600)
_BAD_START: Final = Code(400, "InvalidStartTime.Malformed")
_BAD_END: Final = Code(400, "InvalidEndTime.Malformed")
_TOO_EARLY: Final = Code(400, "InvalidStartTime.TooEarly")
_TOO_MANY: Final = Code(400, "InvalidParameter.TooManyDataQueried")
_BAD_PERIOD: Final = Code(400, "InvalidPeriod.ValueNotSupported")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSnapshotMonitorDataRequest:
    """Parameters; `Period` is in seconds."""

    region_id: RegionId
    start_time: str
    end_time: str
    period: int = param(default=60, malformed=_BAD_PERIOD)
    category: str | None = param(default=None, choices=("standard", "flash", "archive"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPointShape:
    """What the snapshots came to at one instant, in bytes."""

    time_stamp: datetime
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSnapshotMonitorDataAnswer:
    """The series, oldest point first; it does not reach into the future."""

    monitor_data: tuple[DataPointShape, ...] = param(wire="MonitorData/DataPoint")


@action(kind=Kind.READS, answers=(_BAD_START, _BAD_END, _TOO_EARLY, _TOO_MANY, _BAD_PERIOD))
def describe_snapshot_monitor_data(
    _call: Call, scope: Scope, request: DescribeSnapshotMonitorDataRequest
) -> DescribeSnapshotMonitorDataAnswer:
    """Tell how large the account's snapshots in a region were over time."""
    if request.period not in _PERIODS:
        raise ApiError(_BAD_PERIOD, f"The Period {request.period} is not one of 60, 600 and 3600 seconds")
    start, end = _read(request.start_time, _BAD_START), _read(request.end_time, _BAD_END)
    now = scope.clock.now()
    if end < start:
        raise ApiError(_BAD_END, "EndTime is before StartTime")
    if start < now - KEPT:
        raise ApiError(_TOO_EARLY, f"StartTime is more than {KEPT.days} days ago")
    step = timedelta(seconds=request.period)
    if (end - start) / step > _MAX_POINTS:
        raise ApiError(
            _TOO_MANY,
            f"more than {_MAX_POINTS} points are asked for; choose a longer Period or a shorter time",
        )
    instants = []
    while start <= min(end, now):
        instants.append(start)
        start += step
    if not instants or request.category == "flash":
        points = tuple(DataPointShape(time_stamp=at, size=0) for at in instants)
        return DescribeSnapshotMonitorDataAnswer(monitor_data=points)
    category = SnapshotCategory(request.category) if request.category else None
    return DescribeSnapshotMonitorDataAnswer(
        monitor_data=tuple(
            DataPointShape(time_stamp=point.at, size=point.size_bytes)
            for point in list_usage(scope, instants, category)
        )
    )


def _read(text: str, malformed: Code) -> datetime:
    """A time; seconds count as the next whole minute."""
    try:
        at = parse_time(text)
    except ApiError as error:
        raise ApiError(malformed, str(error)) from error
    return at if at.second == 0 else at.replace(second=0) + timedelta(minutes=1)
