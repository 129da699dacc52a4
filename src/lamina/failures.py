"""The three ways in which something ends badly, and what each one means to the caller.

Anything else that is raised is a bug: it is logged with its traceback and shown as an internal error.
Rooms define small leaves that carry facts; the edges (CLI, API, NBD) turn them into words and codes.
"""


class LaminaError(Exception):
    """Base of all failures that Lamina raises on purpose.

    The message tells a person what failed, which precondition was not met, and what to do.
    """


class Refusal(LaminaError):
    """The request was understood and will not be carried out: unknown, wrong state, malformed, over a limit.

    Nothing was changed, and asking again without changing anything gives the same answer.
    """


class Fault(LaminaError):
    """Something that we depend on failed: a disk, an object store, a network, another process.

    Attributes:
        retryable: whether the same call may succeed later.
    """

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.retryable = retryable


class Corruption(LaminaError):
    """Bytes disagree with their identity, tag or format. Never retried silently and never papered over."""


class Cancelled(LaminaError):
    """The caller asked for the operation to stop, and it stopped without leaving a result."""
