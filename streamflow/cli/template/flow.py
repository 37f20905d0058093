"""Orders: those that are paid, with their amounts as numbers.

streamflow run flow.py
"""

from __future__ import annotations

from typing import Any

import streamflow as sf

Order = dict[str, Any]


def is_paid(order: Order) -> bool:
    """Tell whether an order is paid."""
    return bool(order["status"] == "paid")


def with_amount(order: Order) -> Order:
    """Return an order with its amount as a number; one without a number fails."""
    return {**order, "amount": float(order["amount"])}


bad = sf.dead_letter("bad.jsonl")

flow = (
    sf.flow(sf.sources.JsonLines("sample.jsonl", on_error=bad))
    .filter(is_paid)
    .map(with_amount, on_error=bad)
    .to("paid.jsonl")
)
