"""Where live state is, of a config that may be wrong everywhere else: the kill switch must not wait for a mended file.

* What files and overrides say of `settings.state` counts, checked as ever; where they say nothing it is the default.
* While something cannot be read, nothing said is only believed if the word `state` stands in no file.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from backtestkit_cli.config.draft import Draft
from backtestkit_cli.config.merge import Config, checked, drafted, files_of, project_folder
from backtestkit_cli.errors import ConfigError, Problem, Source
from backtestkit_cli.redact import Redactor

_STATE = re.compile(rb"\bstate\b")


def only_state(paths: Sequence[Path], overrides: Sequence[str] = ()) -> Config:
    """Load a config of nothing but `settings.state`.

    Raises:
        ConfigError: where the state is cannot be known.
    """
    draft = drafted(paths, overrides)
    state = draft.settings.get("state")
    twice = [one for one in draft.problems if one.code == "setting-twice" and "state" in str(one.where)]
    if twice:
        raise ConfigError(*twice)
    if state is None and draft.problems:
        _refuse_unknown(paths, draft)
    kept = Draft(settings_maps=draft.settings_maps, overridden=draft.overridden)
    if state is not None:
        kept.settings["state"] = state
    return checked(kept, project_folder(paths[0] if paths else Path()), Redactor())


def _refuse_unknown(paths: Sequence[Path], draft: Draft) -> None:
    """Nothing says where the state is: find out whether something that cannot be read may.

    Raises:
        ConfigError: it may.
    """
    found: list[Problem] = []
    doubtful = [file for file, _ in files_of(paths, found) if _may_say_it(file)]
    if doubtful or found:
        names = ", ".join(map(str, doubtful)) or "the config"
        what = f"where the state is cannot be known: {names} cannot be read whole, and may say it"
        hint = "mend it, or say it: --set settings.state.path=state"
        raise ConfigError(
            Problem("state-place-unknown", what, Source(key="settings.state"), hint=hint), *draft.problems
        )


def _may_say_it(file: Path) -> bool:
    try:
        return _STATE.search(file.read_bytes()) is not None
    except OSError:
        return True
