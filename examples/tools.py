"""Tools of a class: methods with what their object knows, and functions that need none.

    python examples/tools.py

The upstream is local; with real ones only `base_url` and the keys differ.
"""

from __future__ import annotations

import fairlead
from fairlead.testing import Upstream, ok, tool_call


def opening_hours(day: str) -> str:
    """When the shop is open.

    Args:
        day: of the week, in English.
    """
    return "closed" if day == "Sunday" else "9 to 17"


class Shop:
    """What it sells is the object's own business; the model knows the tools alone."""

    def __init__(self, prices: dict[str, float]) -> None:
        self.prices = prices

    @fairlead.tool
    def price(self, of: str) -> float:
        """What a thing costs, in euros.

        Args:
            of: its name.
        """
        return self.prices[of]

    @staticmethod
    @fairlead.tool
    def tax(amount: float) -> float:
        """The tax in an amount, in euros."""
        return round(amount * 0.19 / 1.19, 2)

    hours = fairlead.tool(opening_hours)


shop = Shop({"tea": 11.9})
# They are called as before, too, and keep their types.
due: float = shop.tax(shop.price("tea"))
print(f"tax in a tea: {due}; on Sunday: {shop.hours('Sunday')}")
with Upstream() as upstream, fairlead.Client(api_key="k", base_url=upstream.base_url) as client:
    upstream.script = [
        ok(
            tool_calls=[
                tool_call("price", '{"of": "tea"}'),
                tool_call("opening_hours", '{"day": "Sunday"}'),
            ]
        ),
        ok("Tea is 11.90 euros, but not on Sunday."),
    ]
    run = client.run_tools("m", "Can I buy tea on Sunday?", [shop.price, shop.tax, shop.hours])
for call in run.calls:
    print(f"{call.name}: {call.result}")
print(run.text)
