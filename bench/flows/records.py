"""The typed records of the JSON Lines work: only the fields that are needed, and none for the collector to visit."""

import msgspec


class Sale(msgspec.Struct, gc=False):
    """Read what the flow needs of an order."""

    id: int
    user: str
    country: str
    active: bool
    amount: float
    quantity: int


class Order(msgspec.Struct, gc=False):
    """Write what the flow makes of it."""

    id: int
    user: str
    country: str
    total: float


def is_active_sale(sale: Sale) -> bool:
    """Keep about every second record."""
    return sale.active


def to_typed_order(sale: Sale) -> Order:
    """Take three fields and compute a fourth."""
    return Order(sale.id, sale.user, sale.country, sale.amount * sale.quantity)
