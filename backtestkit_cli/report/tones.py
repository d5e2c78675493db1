"""The colours of a report on a terminal, and which values have one."""

from typing import TYPE_CHECKING

from backtestkit_cli.report.report import Form, Value

if TYPE_CHECKING:
    from rich.text import Text

GOOD, BAD, DOUBT, QUIET, STRONG = "green", "red", "yellow", "dim", "bold"


def tone_of(value: Value, form: Form) -> str:
    """The colour of a signed value: none when it rounds to zero."""
    if form != "signed" or not isinstance(value, (int, float)) or abs(value) < 0.005:
        return ""
    return GOOD if value > 0 else BAD


def styled(text: str, style: str = "") -> "Text":
    """A text in a style; nothing in it is read as markup."""
    from rich.text import Text

    return Text(text, style=style)
