"""Create an account."""

from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.accounts.records import AccountRecord
from lamina.control.accounts.states import AccountStanding
from lamina.ids import AccountId, mint_account_id


def create_account(
    session: Session, clock: Clock, *, name: str, account_id: AccountId | None = None
) -> AccountRecord:
    """Add an account without keys.

    Args:
        session: of the caller's transaction.
        clock: for the time of creation.
        name: for people.
        account_id: the id it must have, when it is brought back from elsewhere.
    """
    account = AccountRecord(
        id=account_id or mint_account_id(),
        name=name,
        standing=AccountStanding.NORMAL,
        created_at=clock.now(),
    )
    session.add(account)
    session.flush()
    return account
