"""Refusals about resources of any kind."""

from lamina.failures import Refusal


class ResourceNotFoundError(Refusal):
    """The account has no such resource of that kind in the region."""

    def __init__(self, resource_id: str, kind: str) -> None:
        super().__init__(f"there is no {kind} {resource_id} in this region")
        self.resource_id = resource_id
        self.kind = kind
