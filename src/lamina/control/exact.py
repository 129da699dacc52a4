"""Exact decimal numbers in columns: amounts and prices."""

from decimal import Decimal

from sqlalchemy import Dialect, Text, TypeDecorator


class Exact(TypeDecorator[Decimal]):
    """A decimal number as text: SQLite has no type that keeps one exact."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """To plain digits."""
        return None if value is None else f"{value:f}"

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Back, digit by digit."""
        return None if value is None else Decimal(value)
