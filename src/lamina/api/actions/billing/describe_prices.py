"""DescribePrices: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.schema import param
from lamina.api.shapes.price import PriceShape, RuleShape, show_prices, show_rules
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribePricesRequest:
    """Parameters; the list is the same in every region."""

    region_id: RegionId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribePricesAnswer:
    """The whole price list, also as it was and as it will be, and the rules of billing."""

    currency: str
    prices: tuple[PriceShape, ...] = param(wire="Prices/Price")
    billing_rules: tuple[RuleShape, ...] = param(wire="BillingRules/BillingRule")


@action(kind=Kind.READS)
def describe_prices(call: Call, scope: Scope, request: DescribePricesRequest) -> DescribePricesAnswer:  # noqa: ARG001 - the parameter changes nothing
    """Show what snapshots cost in each region, and from when on."""
    tariff = call.services.tariff
    return DescribePricesAnswer(
        currency=tariff.prices.currency,
        prices=show_prices(tariff.prices, scope.clock.now()),
        billing_rules=show_rules(tariff.rules, scope.clock.now()),
    )
