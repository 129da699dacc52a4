"""Refusals about accounts and their keys."""

from lamina.failures import Refusal
from lamina.ids import AccessKeyId, AccountId


class AccountNotFoundError(Refusal):
    """There is no such account."""

    def __init__(self, account_id: AccountId) -> None:
        super().__init__(f"there is no account {account_id}")
        self.account_id = account_id


class AccessKeyNotFoundError(Refusal):
    """The account has no such access key."""

    def __init__(self, access_key_id: AccessKeyId) -> None:
        super().__init__(f"there is no access key {access_key_id}")
        self.access_key_id = access_key_id
