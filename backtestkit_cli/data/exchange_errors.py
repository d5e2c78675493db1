"""What each error of ccxt means to us: one table.

Rules: every class of `ccxt.base.errors` is named here, a class of a later version means what its nearest named parent
means, and an HTTP status that says more than the class wins. The table is for questions; a timed-out or broken *order*
has an unknown outcome whatever the class says.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from backtestkit_cli.errors import DataError, ExchangeError, RejectedError, TransientError, UnknownOutcomeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """One way to fail. `what` follows the exchange's name; `{symbol}` in it is the market asked for."""

    error: type[ExchangeError] | type[DataError]
    code: str
    what: str
    hint: str


THROTTLED = Meaning(
    error=TransientError,
    code="exchange-throttled",
    what="asks for fewer requests",
    hint="wait some minutes, and run one download at a time",
)
UNAVAILABLE = Meaning(
    error=TransientError,
    code="exchange-unavailable",
    what="is not available",
    hint="try again later; the exchange's status page may say more",
)
TIMEOUT = Meaning(
    error=TransientError,
    code="exchange-timeout",
    what="did not answer in time",
    hint="check the network connection, then try again",
)
UNREACHABLE = Meaning(
    error=TransientError,
    code="exchange-unreachable",
    what="could not be reached, or the connection broke",
    hint="check the network connection and base_url, then try again",
)
UNREADABLE = Meaning(
    error=TransientError,
    code="exchange-answer-unreadable",
    what="gave an answer that cannot be read",
    hint="something between here and the exchange may have answered in its place; try again later",
)
CHECKSUM = Meaning(
    error=DataError,
    code="exchange-checksum",
    what="sent figures that do not match their checksum",
    hint="try again",
)
CLOCK_SKEW = Meaning(
    error=RejectedError,
    code="clock-skew",
    what="refuses the request because of its time",
    hint="set this computer's clock (time synchronisation is off, or behind)",
)
BAD_SYMBOL = Meaning(
    error=RejectedError,
    code="unknown-symbol",
    what="does not know the symbol {symbol}",
    hint="write it as the exchange does, such as BTC/USDT or BTCUSDT",
)
AUTHENTICATION = Meaning(
    error=RejectedError,
    code="exchange-authentication",
    what="refuses the API key",
    hint="check api_key, secret and the key's list of allowed addresses; public candles need no key at all",
)
PERMISSION = Meaning(
    error=RejectedError,
    code="exchange-permission",
    what="does not allow this to the account",
    hint="check the permissions of the API key and the state of the account",
)
LOCATION = Meaning(
    error=RejectedError,
    code="exchange-location",
    what="does not serve this location",
    hint="choose an exchange, or an id of this one, that serves your country",
)
FORBIDDEN = Meaning(
    error=RejectedError,
    code="exchange-forbidden",
    what="refuses requests from this address",
    hint="its firewall blocks this network, or asked too often; wait, or ask from elsewhere",
)
REFUSED = Meaning(
    error=RejectedError,
    code="exchange-refused",
    what="refuses the request",
    hint="see what the exchange said; trying again will not help",
)
ORDER_REFUSED = Meaning(
    error=RejectedError,
    code="order-refused",
    what="refuses the order",
    hint="see what the exchange said; trying again will not help",
)
NOT_SUPPORTED = Meaning(
    error=RejectedError,
    code="exchange-not-supported",
    what="does not offer this",
    hint="choose another exchange or market",
)
PROXY = Meaning(
    error=RejectedError,
    code="exchange-proxy",
    what="cannot be asked with these proxy settings",
    hint="leave only one proxy setting",
)
UNKNOWN_OUTCOME = Meaning(
    error=UnknownOutcomeError,
    code="unknown-outcome",
    what="has not said yet how the request ended",
    hint="ask for its outcome before sending it again",
)

MEANINGS: Mapping[str, Meaning] = {
    "BaseError": REFUSED,
    "ExchangeError": REFUSED,
    "AuthenticationError": AUTHENTICATION,
    "PermissionDenied": PERMISSION,
    "AccountNotEnabled": PERMISSION,
    "AccountSuspended": PERMISSION,
    "ArgumentsRequired": REFUSED,
    "BadRequest": REFUSED,
    "BadSymbol": BAD_SYMBOL,
    "OperationRejected": REFUSED,
    "NoChange": REFUSED,
    "MarginModeAlreadySet": REFUSED,
    "MarketClosed": REFUSED,
    "ManualInteractionNeeded": REFUSED,
    "RestrictedLocation": LOCATION,
    "InsufficientFunds": ORDER_REFUSED,
    "InvalidAddress": REFUSED,
    "AddressPending": REFUSED,
    "InvalidOrder": ORDER_REFUSED,
    "OrderNotFound": ORDER_REFUSED,
    "OrderNotCached": ORDER_REFUSED,
    "OrderImmediatelyFillable": ORDER_REFUSED,
    "OrderNotFillable": ORDER_REFUSED,
    "DuplicateOrderId": ORDER_REFUSED,
    "ContractUnavailable": ORDER_REFUSED,
    "NotSupported": NOT_SUPPORTED,
    "InvalidProxySettings": PROXY,
    "ExchangeClosedByUser": REFUSED,
    "OperationFailed": UNAVAILABLE,
    "NetworkError": UNREACHABLE,
    "DDoSProtection": THROTTLED,
    "RateLimitExceeded": THROTTLED,
    "ExchangeNotAvailable": UNAVAILABLE,
    "OnMaintenance": UNAVAILABLE,
    "InvalidNonce": CLOCK_SKEW,
    "ChecksumError": CHECKSUM,
    "RequestTimeout": TIMEOUT,
    "BadResponse": UNREADABLE,
    "NullResponse": UNREADABLE,
    "CancelPending": UNKNOWN_OUTCOME,
    "UnsubscribeError": REFUSED,
}

_BY_STATUS: Mapping[int, Meaning] = {403: FORBIDDEN, 451: LOCATION}


def meaning_of(error: Exception, status: int | None = None) -> Meaning:
    """What an exception out of ccxt means; one that is not ccxt's own is an answer ccxt could not read."""
    kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__name__ in MEANINGS]
    if not kinds:
        return UNREADABLE
    by_class = MEANINGS[kinds[0]]
    return _BY_STATUS.get(status or 0, by_class) if by_class in (UNAVAILABLE, REFUSED) else by_class
