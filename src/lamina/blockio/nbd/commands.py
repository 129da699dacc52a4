"""Carries out checked NBD requests against an export: synchronous, called from the server's threads."""

import errno
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from lamina.blockio.nbd.constants import BASE_ALLOCATION, AllocationFlag, Command, CommandFlag, Errno
from lamina.blockio.nbd.export import NbdExport, StatusRun
from lamina.blockio.nbd.handshake import Selection
from lamina.blockio.nbd.replies import (
    Reply,
    chunk_of_data,
    chunk_of_hole,
    reply_data,
    reply_done,
    reply_error,
    reply_nothing,
    reply_status,
)
from lamina.blockio.nbd.transmission import Request
from lamina.failures import Cancelled, Corruption, Fault, LaminaError, Refusal
from lamina.telemetry import get_logger, log, log_failure
from lamina.units import KIB

STATUS_RUNS_MAX: Final = 64 * KIB  # per context and reply, 512 KiB; the protocol advises at most 2^20

_PIECES_MAX: Final = 16  # a read of more pieces is sent as data: a chunk costs more than it saves
_HOLE_MIN_BYTES: Final = 4 * KIB

_logger: Final = get_logger(__name__)


def execute(selection: Selection, request: Request) -> Reply:
    """Carry out a request; whatever goes wrong becomes an error for the client."""
    name = selection.export.name
    try:
        return _HANDLERS[request.command](selection, request)
    except LaminaError as error:
        if isinstance(error, Corruption):
            log(_logger, logging.CRITICAL, "corruption behind an export", export=name, failure=str(error))
        code = _errno_of(error, request.command)
        return reply_error(request.cookie, code, str(error), is_structured=selection.structured)
    except Exception as error:  # noqa: BLE001 - a bug in an export must not leave its client waiting for ever
        log_failure(_logger, "an export failed", error, export=name, command=request.command.name)
        message = "internal error, see the server's log"
        return reply_error(request.cookie, Errno.IO, message, is_structured=selection.structured)


def _errno_of(error: LaminaError, command: Command) -> Errno:
    match error:
        case Refusal():
            return Errno.INVALID if command in (Command.READ, Command.BLOCK_STATUS) else Errno.PERM
        case Fault(__cause__=OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG)):
            return Errno.NO_SPACE  # clients such as QEMU pause on it and go on when there is room
        case Cancelled():
            return Errno.SHUTDOWN
        case _:
            return Errno.IO


def _read(selection: Selection, request: Request) -> Reply:
    export, offset, length = selection.export, request.offset, request.length
    if not selection.structured:
        return reply_data(request.cookie, _read_exactly(export, offset, length))
    if length == 0:
        return reply_nothing(request.cookie)
    pieces = [StatusRun(length, 0)]
    if not request.flags & CommandFlag.DF:
        pieces = _list_pieces(export, offset, length)
    parts: list[bytes | memoryview] = []
    for number, piece in enumerate(pieces, start=1):
        is_last = number == len(pieces)
        if piece.flags:
            parts += chunk_of_hole(request.cookie, offset, piece.length, is_last=is_last)
        else:
            data = _read_exactly(export, offset, piece.length)
            parts += chunk_of_data(request.cookie, offset, data, is_last=is_last)
        offset += piece.length
    return tuple(parts)


def _read_exactly(export: NbdExport, offset: int, length: int) -> bytes | memoryview:
    data = export.read(offset, length) if length else b""
    assert len(data) == length, f"export {export.name!r} read {len(data)} bytes instead of {length}"
    return data


def _list_pieces(export: NbdExport, offset: int, length: int) -> list[StatusRun]:
    """A range as runs of data (flags 0) and zeros (flags 1), in order; few, or one of data."""
    if BASE_ALLOCATION not in export.contexts:
        return [StatusRun(length, 0)]
    status = export.block_status(BASE_ALLOCATION, offset, length)
    zeros = _join(StatusRun(run.length, run.flags & AllocationFlag.ZERO) for run in status)
    worth = (StatusRun(run.length, int(run.flags != 0 and run.length >= _HOLE_MIN_BYTES)) for run in zeros)
    pieces = list(islice(_join(worth), _PIECES_MAX + 1))
    if len(pieces) > _PIECES_MAX:
        return [StatusRun(length, 0)]
    told = sum(piece.length for piece in pieces)
    return list(_join([*pieces, StatusRun(length - told, 0)])) if told < length else pieces


def _join(runs: Iterable[StatusRun]) -> Iterator[StatusRun]:
    """Neighbours of one status as one run."""
    pending: StatusRun | None = None
    for run in runs:
        if pending is not None and run.flags == pending.flags:
            pending = StatusRun(pending.length + run.length, run.flags)
            continue
        if pending is not None:
            yield pending
        pending = run
    if pending is not None:
        yield pending


def _write(selection: Selection, request: Request) -> Reply:
    if request.length:
        selection.export.write(request.offset, request.data)
    return _finish_writing(selection, request)


def _trim(selection: Selection, request: Request) -> Reply:
    if request.length:
        selection.export.trim(request.offset, request.length)
    return _finish_writing(selection, request)


def _write_zeroes(selection: Selection, request: Request) -> Reply:
    if request.length:
        may_punch = not request.flags & CommandFlag.NO_HOLE
        selection.export.zero(request.offset, request.length, may_punch=may_punch)
    return _finish_writing(selection, request)


def _finish_writing(selection: Selection, request: Request) -> Reply:
    if request.flags & CommandFlag.FUA:
        selection.export.flush()
    return reply_done(request.cookie)


def _flush(selection: Selection, request: Request) -> Reply:
    selection.export.flush()
    return reply_done(request.cookie)


def _cache(selection: Selection, request: Request) -> Reply:
    if request.length:
        selection.export.prefetch(request.offset, request.length)
    return reply_done(request.cookie)


def _block_status(selection: Selection, request: Request) -> Reply:
    count = 1 if request.flags & CommandFlag.REQ_ONE else STATUS_RUNS_MAX
    runs_by_context = [
        (context_id, islice(_join(_list_runs(selection.export, context, request)), count))
        for context_id, context in selection.contexts.items()
    ]
    return reply_status(request.cookie, runs_by_context)


def _list_runs(export: NbdExport, context: str, request: Request) -> Iterator[StatusRun]:
    told = 0
    for run in export.block_status(context, request.offset, request.length):
        told += run.length
        assert run.length > 0, f"export {export.name!r} told of an empty run"
        assert told <= request.length, f"export {export.name!r} told more than it was asked"
        yield run
    assert told > 0, f"export {export.name!r} told nothing"


_HANDLERS: Final[Mapping[Command, Callable[[Selection, Request], Reply]]] = {
    Command.READ: _read,
    Command.WRITE: _write,
    Command.FLUSH: _flush,
    Command.TRIM: _trim,
    Command.CACHE: _cache,
    Command.WRITE_ZEROES: _write_zeroes,
    Command.BLOCK_STATUS: _block_status,
}
