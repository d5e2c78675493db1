"""What a bundle keeps of a config: enough to make it again, and no secret."""

from pathlib import Path

import pytest

from backtestkit_cli.config.merge import load
from backtestkit_cli.config.schema import KINDS
from backtestkit_cli.config.stored import KEPT, kept, restored, without_secrets
from backtestkit_cli.errors import ConfigError, Source, UsageError
from backtestkit_cli.redact import MASK

EVERYTHING = Path(__file__).parents[2] / "data" / "config" / "everything.yaml"


def test_everything_that_is_kept_makes_an_equal_config(tmp_path: Path) -> None:
    config = load([EVERYTHING])
    values = kept(config, {kind: set(getattr(config, kind)) for kind in KINDS})
    again = restored(values, tmp_path, "run a")
    assert again.project == tmp_path
    assert again.strategies == config.strategies
    assert again.risks == config.risks
    assert again.frames == config.frames
    assert kept(again, {kind: set(getattr(again, kind)) for kind in KINDS}) == values


def test_only_what_is_named_is_kept_and_nothing_of_live_runs() -> None:
    config = load([EVERYTHING])
    name = next(iter(config.frames))
    values = kept(config, {"frames": {name}, "risks": set()})
    assert [one["name"] for one in values["frames"]] == [name]
    assert set(values) == {"settings", "frames"}
    assert not {"notify", "state", "broker"} & set(values["settings"])


def test_secrets_are_masked_wherever_they_stand_and_references_stay(tmp_path: Path) -> None:
    values = {
        "exchanges": [{"api_key": "abcd", "secret": "${NAME}", "base_url": "http://x"}],
        "strategies": [{"name": "a", "params": {"token": "abcd", "length": 3}}, {"name": "b"}],
    }
    masked = without_secrets(values)
    assert masked["exchanges"] == [{"api_key": MASK, "secret": "${NAME}", "base_url": "http://x"}]
    with pytest.raises(UsageError, match=r"run a cannot be done again: strategies\.a\.params\.token is a secret"):
        restored(masked, tmp_path, "run a")


def test_a_restored_config_names_no_file_that_the_user_never_wrote(tmp_path: Path) -> None:
    again = restored({"frames": [{"name": "a", "start": "2023-03-01", "end": "2023-03-02"}]}, tmp_path, "run a")
    assert again.where("frames", "a", "start") == Source(file=KEPT, key='frames[0] "a" › start')
    with pytest.raises(ConfigError) as refused:
        restored({"frames": [{"name": "a", "start": "soon", "end": "2023-03-02"}]}, tmp_path, "run a")
    assert {one.where and one.where.file for one in refused.value.problems} == {KEPT}
