"""What goes over the wire, read and rewritten: addresses, times in headers, steps, and excerpts fit to be shown."""

import email.utils
import json
import re
from typing import Any
from urllib.parse import urlsplit

from backtestkit_cli.errors import ConfigError, Problem, Source

_LONGEST_EXCERPT = 200


def moved(urls: Any, base_url: str) -> Any:
    """Every URL in a tree of them, at another address with its own path.

    Raises:
        ConfigError: `base_url` is no address.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            Problem(
                code="base-url",
                what=f"{base_url!r} is no address an exchange can be asked at",
                where=Source(key="base_url"),
                expected="such as http://127.0.0.1:8080",
            )
        )
    if isinstance(urls, dict):
        return {name: moved(url, base_url) for name, url in urls.items()}
    return base_url.rstrip("/") + (urlsplit(urls).path or "/") if isinstance(urls, str) else urls


def step_of(precision: float | None, *, mode: int) -> float | None:
    """A step from a precision in one of ccxt's three modes; None where it is a count of significant digits."""
    import ccxt

    if precision is None or mode == ccxt.SIGNIFICANT_DIGITS:
        return None
    return float(precision) if mode == ccxt.TICK_SIZE else float(f"1e-{int(precision)}")


def http_date_ms(text: str | None) -> int | None:
    """The time of an HTTP date in UTC ms; None for any other text."""
    parts = email.utils.parsedate_tz(text) if text else None
    return None if parts is None else email.utils.mktime_tz(parts) * 1000


def retry_after_ms(text: str | None, now_ms: int) -> int | None:
    """How long a `Retry-After` asks for silence, written in seconds or as a date; None when it cannot be read."""
    if text is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}(\.\d+)?\s*", text):
        return round(float(text) * 1000)
    until_ms = http_date_ms(text)
    return None if until_ms is None else max(0, until_ms - now_ms)


def error_code(body: str) -> int | None:
    """The number of an error that an exchange answers as `{"code": -2013, ...}`; None in any other answer."""
    try:
        told = json.loads(body)
    except ValueError:
        return None
    code = told.get("code") if isinstance(told, dict) else None
    return code if isinstance(code, int) and code < 0 else None


def excerpt(body: str, *, secrets: tuple[str | None, ...]) -> str:
    """The beginning of an answer, fit to be shown."""
    if not body:
        return "an empty answer"
    if body.startswith("<"):
        return "an HTML page"
    for secret in filter(None, secrets):
        body = body.replace(secret, "***")
    body = re.sub(r"\w+://\S+", "(address)", body)
    body = re.sub(r"(?i)(signature|apikey|secret)=[^\s&\"]+", r"\1=***", body)
    body = " ".join("".join(letter if letter.isprintable() else " " for letter in body).split())
    return body if len(body) <= _LONGEST_EXCERPT else body[:_LONGEST_EXCERPT] + "…"
