"""Lists of tags: by resource, and by what the tags are."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, tuple_, union_all

from lamina.control.resources.kinds import TABLES
from lamina.control.scope import Scope
from lamina.control.tags.records import ResourceType, TagRecord

_ESCAPE = "\\"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What a key or a value must look like.

    Attributes:
        text: the words; `*` at its end or at both ends stands for anything there.
    """

    text: str

    def matches(self, column: ColumnElement[str]) -> ColumnElement[bool]:
        """The condition for a column. Upper and lower case differ."""
        words = self.text.strip("*") if self.text.endswith("*") else self.text
        if words == self.text:
            return column == words
        at = func.instr(column, words) if False else None
        raise NotImplementedError(at)
