"""The same with pytest."""

from streamflow.testing import trial

from flow import flow


def test_orders_that_are_not_paid_are_left_out() -> None:
    """One of two comes out, its amount a number."""
    orders = [{"id": 1, "status": "paid", "amount": "9.50"}, {"id": 2, "status": "open", "amount": "3.00"}]
    assert trial(flow, orders).output == [{"id": 1, "status": "paid", "amount": 9.5}]
