"""What an S3 service's answer means, read from obstore's exceptions.

obstore has one class for most failures and keeps status and code in its text only, where they are read here.
The codes are those of "Error responses" in the S3 API reference.
"""

import re
from typing import Final

from lamina.failures import Fault

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>")
_TRANSPORT: Final = re.compile(r"\bkind: ([A-Z][A-Za-z]+)")
_RETRYABLE_STATUS: Final = frozenset({408, 409, 425, 429})
_RETRYABLE_CODE: Final = frozenset({"RequestTimeout", "SlowDown", "Throttling"})
_NOT_IMPLEMENTED: Final = 501
_SERVER_ERROR: Final = 500


def find_status(error: Exception) -> int | None:
    """The HTTP status of the service's answer, if there was one."""
    found = _STATUS.search(str(error))
    return int(found[1]) if found else None


def find_code(error: Exception) -> str | None:
    """The error code in the answer's body, such as `NoSuchKey`, if there was one."""
    found = _CODE.search(str(error))
    return found[1] if found else None


def explain(what: str, error: Exception) -> Fault:
    """A fault that says what could not be done, what came back, and what to do."""
    status = find_status(error)
    code = find_code(error) or ""
    if status is not None:
        retryable = (
            (status >= _SERVER_ERROR and status != _NOT_IMPLEMENTED)
            or status in _RETRYABLE_STATUS
            or code in _RETRYABLE_CODE
        )
        answer = f"the service answered {status} {code}".rstrip()
        return Fault(f"{what}: {answer}; {_advise(status, code)}", retryable=retryable)
    if "redirect" in str(error):
        return Fault(f"{what}: the service sent us elsewhere; check the region", retryable=False)
    transport = _TRANSPORT.search(str(error))
    trouble = f"no answer ({transport[1].lower()})" if transport else "an answer that S3 does not give"
    return Fault(f"{what}: {trouble}; check the endpoint and the network", retryable=True)


def _advise(status: int, code: str) -> str:
    if code == "RequestTimeTooSkewed":
        return "set this machine's clock"
    if code == "NoSuchBucket":
        return "create the bucket, or correct its name"
    if status in {401, 403} or code in {"ExpiredToken", "InvalidToken"}:
        return "check the access key, its secret, and what it may do in this bucket"
    return (
        "look at the service's own log"
        if status >= _SERVER_ERROR
        else "check the bucket, endpoint and region"
    )


def without_body(error: Exception) -> Exception:
    """The same error without the answer's body, in which AWS repeats access keys and session tokens."""
    error.args = (str(error).partition("<")[0].partition("\n")[0].strip(),)
    return error
