"""Refusals about ClientTokens."""

from lamina.failures import Refusal


class TokenReusedError(Refusal):
    """The token was used before with other parameters (IdempotentParameterMismatch)."""

    def __init__(self, action: str, token: str) -> None:
        super().__init__(
            f"the ClientToken {token!r} was used for another {action} with other parameters; use a new token"
        )
        self.action = action
        self.token = token
