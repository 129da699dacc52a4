"""Suspend an account, or let it in again."""

from sqlalchemy.orm import Session

from lamina.control.accounts.errors import AccountNotFoundError
from lamina.control.accounts.records import AccountRecord
from lamina.control.accounts.states import AccountStanding
from lamina.ids import AccountId


def set_standing(session: Session, account_id: AccountId, standing: AccountStanding) -> None:
    """Change the standing of an account; it counts from the next request on. The same again changes nothing.

    Raises:
        AccountNotFoundError: there is no such account.
    """
    account = session.get(AccountRecord, account_id)
    if account is None:
        raise AccountNotFoundError(account_id)
    if account.standing is not standing:
        account.move_to(standing)
