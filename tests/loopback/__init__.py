"""A small exchange on 127.0.0.1 that speaks Binance's spot market protocol, for tests with real ccxt code."""

from loopback.clock import FakeClock
from loopback.faults import FAULT_KINDS, ORDER_FAULTS, Fault
from loopback.market import Market, Row
from loopback.order import RefusedError
from loopback.server import LoopbackExchange

__all__ = ["FAULT_KINDS", "ORDER_FAULTS", "FakeClock", "Fault", "LoopbackExchange", "Market", "RefusedError", "Row"]
