"""Compare every recorded case and table with the mode `reference`: how much of each part is equal, and what is not.

Ends with 1 unless everything that is compared is equal. Cases of a mode that nothing drives yet are named as due.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from golden.golden_cases import Case
from golden.golden_compare import Tally, compare_case, compare_table, new_tallies
from golden.golden_tables import TABLES

SHOWN = 40
NOT_COMPARED = (
    "cache, messages_at_end of optimizer (corrected in ours on purpose); settings that are refused on purpose"
)


def main(folder: Path) -> int:
    """Compare a folder of recordings."""
    folders = sorted(path.parent for path in folder.glob("*/case.yaml"))
    if not folders and not (folder / "tables").is_dir():
        print(f"{folder} holds no recordings; name the folder: make golden GOLDEN=folder")
        return 1
    tallies = new_tallies()
    due = [path.name for path in folders if Case(path).is_due]
    for path in folders:
        if path.name not in due:
            _compare(path, tallies)
    for table in TABLES:
        if (folder / "tables" / f"{table}.json").exists():
            compare_table(folder / "tables", table, tallies["tables"])
    _print(tallies, cases=len(folders) - len(due), due=due)
    return int(any(tally.wrong for tally in tallies.values()))


def _compare(folder: Path, tallies: dict[str, Tally]) -> None:
    """Compare a case; one that cannot be run counts as a difference, and the others go on."""
    try:
        compare_case(folder, tallies)
    except Exception as error:  # noqa: BLE001  # a fault in one case must not hide the others
        tallies["events"].add(folder.name, 1, [f"cannot be compared: {error!r}"])


def _print(tallies: dict[str, Tally], *, cases: int, due: list[str]) -> None:
    for part, tally in tallies.items():
        print(f"{part:<18}{tally.total - tally.wrong:>8} / {tally.total} equal")
    print(f"cases compared: {cases}; due: {', '.join(due) or 'none'}")
    print(f"not compared: {NOT_COMPARED}")
    found = [f"{part}: {text}" for part, tally in tallies.items() for text in tally.found]
    for text in found[:SHOWN]:
        print(f"  {text[:300]}")
    if len(found) > SHOWN:
        print(f"  and {len(found) - SHOWN} more")


if __name__ == "__main__":
    default = Path(__file__).parents[3] / "shared" / "golden"
    raise SystemExit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else default))
