import importlib
import pkgutil

import pytest

import lamina.control
import lamina.tasks
from lamina.api.codes import Code
from lamina.api.errors import TABLE, describe
from lamina.api.registry import find_action
from lamina.control.disks.errors import DiskNotFoundError
from lamina.control.idempotency.errors import TokenReusedError
from lamina.failures import Cancelled, Corruption, Fault, Refusal


def walk_refusals():
    for room in (lamina.control, lamina.tasks):
        for info in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
            importlib.import_module(info.name)
    waiting = [Refusal]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.__module__.startswith(("lamina.control", "lamina.tasks")):
            yield cls


def test_every_refusal_of_the_rooms_below_has_its_code():
    missing = {cls.__name__ for cls in walk_refusals()} - {cls.__name__ for cls in TABLE}
    assert missing == set()


@pytest.mark.parametrize(
    ("failure", "action", "code", "shows_message"),
    [
        (DiskNotFoundError("d-1"), None, Code(404, "InvalidDiskId.NotFound"), True),
        (TokenReusedError("CreateDisk", "t"), "CreateDisk", Code(400, "IdempotentParameterMismatch"), True),
        (
            TokenReusedError("CreateSnapshot", "t"),
            "CreateSnapshot",
            Code(403, "IdempotentParameterMismatch"),
            True,
        ),
        (Fault("/secret/path failed", retryable=True), None, Code(503, "ServiceUnavailable"), False),
        (Fault("/secret/path failed", retryable=False), None, Code(500, "InternalError"), False),
        (Corruption("snapshot s-1 is damaged"), None, Code(500, "InternalError.DamagedData"), True),
        (Cancelled("stopped"), None, Code(500, "InternalError"), True),
        (ZeroDivisionError("/secret/path"), None, Code(500, "InternalError"), False),
    ],
)
def test_what_a_failure_becomes(failure, action, code, shows_message):
    reply = describe(failure, find_action(action) if action else None)
    assert reply.code == code
    assert (str(failure) in reply.message) is shows_message
