"""The survivors that no test can kill because they mean the same, read from the list that explains them."""

from pathlib import Path

LIST = Path(__file__).with_name("survivors.md")


def explained() -> dict[tuple[str, str], str]:
    """The reason for each explained mutant, by module and change; a mutant is a line `* before → after: reason`."""
    found: dict[tuple[str, str], str] = {}
    module = ""
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            module = line[3:].strip()
        elif line.startswith("* `"):
            change, _, reason = line[3:].partition("`: ")
            found[module, change] = reason
    return found
