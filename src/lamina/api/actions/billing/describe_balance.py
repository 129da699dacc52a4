"""DescribeBalance: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.schema import param
from lamina.api.shapes.ledger import BalanceShape, show_balance
from lamina.api.spec import Kind, action
from lamina.control.payments.queries import get_position
from lamina.control.scope import Scope
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeBalanceRequest:
    """Parameters; the balance is of all regions together."""

    region_id: RegionId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeBalanceAnswer:
    """What the account has or owes; one balance in each currency in which it was ever billed."""

    standing: str
    balances: tuple[BalanceShape, ...] = param(wire="Balances/Balance")


@action(kind=Kind.READS)
def describe_balance(call: Call, scope: Scope, request: DescribeBalanceRequest) -> DescribeBalanceAnswer:  # noqa: ARG001 - the parameter changes nothing
    """Show what the account owes, and until when that is to be paid."""
    position = get_position(scope.session, scope.account_id, scope.clock.now(), call.services.tariff.rules)
    return DescribeBalanceAnswer(
        standing=position.standing.value, balances=tuple(map(show_balance, position.balances))
    )
