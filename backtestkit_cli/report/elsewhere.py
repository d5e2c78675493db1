"""What somebody may have meant by a word that is no stored run: a live session, or the comparison of a walker.

* A session is named by its id or a beginning of it, a walker by its name; `last` may mean either.
"""

from pathlib import Path


def meant_elsewhere(logs: Path, text: str) -> str | None:
    """Say how to ask for what a word names that is no run; None where nothing does."""
    sessions = _names(logs / "live", "journal.jsonl")
    walkers = _names(logs / "walker", "contest.json")
    hints = []
    if any(text == "last" or name.startswith(text) for name in sessions):
        hints.append(f"of a live session: `backtestkit report show {text} --kind live`, or `backtestkit parity {text}`")
    if walkers and (text == "last" or text in walkers):
        hints.append(f"of a walker: `backtestkit report show {text} --kind walker`")
    return "; ".join(hints) or None


def _names(folder: Path, file: str) -> list[str]:
    return [path.parent.name for path in folder.glob(f"*/{file}")]
