"""Codes of the ECS API, and the failure that the API's own edge raises."""

from dataclasses import dataclass
from typing import Final

from lamina.failures import Refusal


@dataclass(frozen=True, slots=True)
class Code:
    """An error code together with the HTTP status that it travels with.

    The vendor's misspellings (`OperationDeined`, `MissingParamter`) are part of the wire contract.
    """

    status: int
    text: str


class ApiError(Refusal):
    """A call that the edge itself refuses: malformed, unsigned, too large, too often.

    Attributes:
        code: what the client sees in `Code`, and the HTTP status.
    """

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code


# The common codes of the API (General error codes page, 2021), as far as this edge raises them itself.
MISSING_PARAMETER: Final = Code(400, "MissingParameter")
INVALID_PARAMETER: Final = Code(400, "InvalidParameter")
INVALID_VERSION: Final = Code(400, "InvalidVersion")
INVALID_ACTION: Final = Code(403, "InvalidAction")
INVALID_ACTION_2026: Final = Code(404, "InvalidAction.NotFound")
UNSUPPORTED_METHOD: Final = Code(403, "UnsupportedHTTPMethod")
INCOMPLETE_SIGNATURE: Final = Code(400, "IncompleteSignature")
SIGNATURE_MISMATCH: Final = Code(400, "SignatureDoesNotMatch")
NONCE_USED: Final = Code(400, "SignatureNonceUsed")
ILLEGAL_TIMESTAMP: Final = Code(400, "IllegalTimestamp")
UNKNOWN_ACCESS_KEY: Final = Code(400, "InvalidAccessKeyId.NotFound")
UNKNOWN_ACCESS_KEY_2026: Final = Code(404, "InvalidAccessKeyId.NotFound")
ACCESS_KEY_DISABLED: Final = Code(403, "Forbidden.AccessKeyDisabled")
ACCOUNT_DISABLED: Final = Code(403, "Forbidden.Unauthorized")
SUSPENDED: Final = Code(403, "InvalidAccountStatus.NotEnoughBalance")
NO_PERMISSION: Final = Code(403, "Forbidden.RAM")
THROTTLED: Final = Code(400, "Throttling")
DRY_RUN_PASSED: Final = Code(400, "DryRunOperation")
UNKNOWN_REGION: Final = Code(404, "InvalidRegionId.NotFound")
INTERNAL_ERROR: Final = Code(500, "InternalError")
UNAVAILABLE: Final = Code(503, "ServiceUnavailable")
# Not in the vendor's tables: our own words for our own limits.
REQUEST_TOO_LARGE: Final = Code(413, "RequestTooLarge")
REQUEST_TOO_SLOW: Final = Code(408, "RequestTimeout")
UNKNOWN_PATH: Final = Code(404, "InvalidPath")


class ThrottledError(ApiError):
    """Too many calls: the code on which the official clients wait and try again.

    Attributes:
        wait_seconds: after which time a call has a chance.
    """

    def __init__(self, message: str, *, wait_seconds: float) -> None:
        super().__init__(THROTTLED, message)
        self.wait_seconds = wait_seconds
