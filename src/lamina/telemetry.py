"""Structured logs: one JSON object per line, through the standard library's logging. Plain functions."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

_FACTS: Final = "lamina_facts"
_HIDDEN: Final = "(hidden)"
_SECRET_WORDS: Final = ("secret", "password", "passphrase", "signature", "authorization", "private_key")


def get_logger(name: str) -> logging.Logger:
    """The logger of a room; pass `__name__`."""
    return logging.getLogger(name)


def log(logger: logging.Logger, level: int, event: str, **facts: object) -> None:
    """Write one line.

    Args:
        logger: where to, from `get_logger`.
        level: `logging.INFO`, `logging.ERROR` and so on; `CRITICAL` means that an operator has to look.
        event: what happened, as a fixed phrase that can be searched for.
        facts: ids, numbers and names. A fact whose name speaks of a secret is never written out.
    """
    logger.log(level, event, extra={_FACTS: facts})


def log_failure(logger: logging.Logger, event: str, failure: BaseException, **facts: object) -> None:
    """Write one line at error level with the failure's type, message and traceback."""
    logger.error(event, exc_info=failure, extra={_FACTS: facts})


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object: `at`, `level`, `logger`, `event`, then the facts."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        for name, value in getattr(record, _FACTS, {}).items():
            line[name] = _HIDDEN if _is_secret(name) else value
        if record.exc_info and record.exc_info[1] is not None:
            failure = record.exc_info[1]
            line["failure"] = type(failure).__name__
            line["message"] = str(failure)
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(*, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send our lines from `level` up to `stream` (standard error by default). Called once per process."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(level, logging.WARNING))  # of libraries, only what went wrong
    logging.getLogger("lamina").setLevel(level)


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET_WORDS)
