"""DescribeDiskMonitorData."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.filters import parse_time
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import DiskNotFoundError
from lamina.control.disks.queries import get_disk
from lamina.control.scope import Scope
from lamina.ids import DiskId

_BAD_START: Final = Code(400, "InvalidStartTime.Malformed")
_BAD_END: Final = Code(400, "InvalidEndTime.Malformed")
_TOO_EARLY: Final = Code(400, "InvalidStartTime.TooEarly")
_BACKWARDS: Final = Code(400, "InvalidParameter.EndTime")
_TOO_MANY: Final = Code(400, "InvalidParameter.TooManyDataQueried")
_BAD_PERIOD: Final = Code(400, "InvalidPeriod.ValueNotSupported")
_PERIODS: Final = (60, 600, 3600)
_POINTS_MAX: Final = 400
_KEPT: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeDiskMonitorDataRequest:
    """Parameters; times are rounded up to the minute, the period is in seconds."""

    disk_id: DiskId
    start_time: str
    end_time: str
    period: int = param(default=60, malformed=_BAD_PERIOD)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorPointShape:
    """What a disk did in one period."""

    disk_id: DiskId
    time_stamp: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeDiskMonitorDataAnswer:
    """The points that were recorded. The operations of disks are not measured, so there are none."""

    monitor_data: tuple[MonitorPointShape, ...] = param(wire="MonitorData/DiskMonitorData")
    total_count: int


@action(
    kind=Kind.READS,
    raises=(DiskNotFoundError,),
    answers=(_BAD_START, _BAD_END, _TOO_EARLY, _BACKWARDS, _TOO_MANY, _BAD_PERIOD),
    resource="disk_id",
    not_offered={"instances have no credits": ("InvalidInstanceType.NotSupportCredit",)},
)
def describe_disk_monitor_data(
    _call: Call, scope: Scope, request: DescribeDiskMonitorDataRequest
) -> DescribeDiskMonitorDataAnswer:
    """List what a disk did; instances use their disks without us, so nothing is measured and the list is empty."""
    get_disk(scope, request.disk_id)
    if request.period not in _PERIODS:
        raise ApiError(_BAD_PERIOD, f"Period must be one of {', '.join(map(str, _PERIODS))}")
    start, end = _read_time(request.start_time, _BAD_START), _read_time(request.end_time, _BAD_END)
    if end < start:
        raise ApiError(_BACKWARDS, "EndTime lies before StartTime")
    if start < scope.clock.now() - _KEPT:
        raise ApiError(_TOO_EARLY, f"StartTime lies more than {_KEPT.days} days back")
    if (end - start) / timedelta(seconds=request.period) > _POINTS_MAX:
        raise ApiError(
            _TOO_MANY, f"more than {_POINTS_MAX} periods; choose a longer one, or a shorter window"
        )
    return DescribeDiskMonitorDataAnswer(monitor_data=(), total_count=0)


def _read_time(text: str, malformed: Code) -> datetime:
    try:
        instant = parse_time(text)
    except ApiError as error:
        raise ApiError(malformed, str(error)) from error
    rounded = instant.replace(second=0)
    return rounded if rounded == instant else rounded + timedelta(minutes=1)
