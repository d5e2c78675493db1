"""Many files become one config, or one answer with every problem."""

import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtestkit_cli.config.merge import Config, load, project_folder, resolve_env
from backtestkit_cli.errors import ConfigError, Problem

EVERYTHING = Path(__file__).parents[2] / "data" / "config" / "everything.yaml"
FRAME = "frames:\n  - {name: march, start: 2023-03-01, end: 2023-03-22}\n"
STRATEGY = "strategies:\n  - {name: listed, interval: 1h, signals: signals.csv}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "configs").mkdir()
    return tmp_path / "configs"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def problems(folder: Path, *overrides: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load([folder], overrides)
    return list(caught.value.problems)


def test_all_yaml_files_of_a_folder_are_merged_in_order(folder: Path) -> None:
    write(
        folder, b="frames:\n  - {name: b, start: 2023-03-01, end: 2023-03-22}\n", a=FRAME + "settings: {gap: bridge}\n"
    )
    (folder / "c.yml").write_text(STRATEGY + "settings: {balance: 5}\n", encoding="utf-8")
    (folder / ".d.yaml").write_text("not read: [", encoding="utf-8")
    (folder / "notes.txt").write_text("not read: [", encoding="utf-8")
    config = load([folder])
    assert list(config.frames) == ["march", "b"]
    assert (config.settings.gap, config.settings.balance) == ("bridge", 5.0)
    assert list(config.strategies) == ["listed"]
    assert [Path(one.file).name for one in config.sources] == ["a.yaml", "b.yaml", "c.yml"]


def test_a_file_given_twice_is_read_once(folder: Path) -> None:
    write(folder, a=FRAME)
    assert list(load([folder, folder / ".." / "configs" / "a.yaml"]).frames) == ["march"]


def test_one_setting_in_two_files_names_both_places(folder: Path) -> None:
    write(folder, a="settings: {costs: {fee_percent: 0.1}}\n", b="settings:\n  costs:\n    fee_percent: 0.1\n")
    (problem,) = problems(folder)
    assert problem.code == "setting-twice"
    assert f"{folder / 'a.yaml'}:1:20" in problem.what
    assert problem.where is not None
    assert (problem.where.file, problem.where.line) == (str(folder / "b.yaml"), 3)


def test_parts_of_one_setting_may_stand_in_two_files(folder: Path) -> None:
    write(folder, a="settings: {costs: {fee_percent: 0.2}}\n", b="settings: {costs: {slippage_percent: 0.01}}\n")
    costs = load([folder]).settings.costs
    assert (costs.fee_percent, costs.slippage_percent) == (0.2, 0.01)


def test_a_setting_that_is_a_value_here_and_a_mapping_there_is_refused(folder: Path) -> None:
    write(folder, a="settings: {fill: honest}\n", b="settings: {fill: {base: touch}}\n")
    assert [problem.code for problem in problems(folder)] == ["setting-twice"]


@pytest.mark.parametrize("name", ["march", "MARCH"])
def test_one_name_in_two_files_names_both_places(folder: Path, name: str) -> None:
    write(folder, a=FRAME, b=FRAME.replace("march", name))
    (problem,) = problems(folder)
    assert problem.code == "name-twice"
    assert f"{folder / 'a.yaml'}:2:12" in problem.what
    assert problem.where is not None
    assert problem.where.file == str(folder / "b.yaml")


def test_one_name_in_two_kinds_is_fine(folder: Path) -> None:
    assert load([write(folder, a=FRAME, b=STRATEGY.replace("listed", "march"))]).strategies["march"].signals


def test_problems_of_all_files_are_reported_together(folder: Path) -> None:
    write(folder, a="settings: {balance: -1}\n", b="frames: [3]\n", c="x: [", d="stratgies: []\n")
    found = [(Path(one.where.file or "").name, one.code) for one in problems(folder) if one.where]
    assert sorted(found) == [
        ("a.yaml", "bad-value"),
        ("b.yaml", "wrong-type"),
        ("c.yaml", "bad-yaml"),
        ("d.yaml", "unknown-section"),
    ]


def test_a_file_that_cannot_be_read_raises_no_unknown_names_elsewhere(folder: Path) -> None:
    write(folder, a="settings: {defaults: {frame: march}}\n", b=FRAME + "x: [")
    assert [problem.code for problem in problems(folder)] == ["bad-yaml"]


def test_a_schema_that_is_wrong_itself_is_not_also_unknown(folder: Path) -> None:
    write(folder, a="settings: {defaults: {frame: march}}\n", b=FRAME.replace("2023-03-22", "never"))
    assert [problem.code for problem in problems(folder)] == ["bad-time"]


@pytest.mark.parametrize(
    ("path", "project"),
    [("p/configs", "p"), ("p/configs/a.yaml", "p"), ("p/other", "p/other"), ("p/other/a.yaml", "p/other")],
)
def test_relative_paths_belong_to_the_project_folder(tmp_path: Path, path: str, project: str) -> None:
    for folder in ("p/configs", "p/other"):
        (tmp_path / folder).mkdir(parents=True)
        write(tmp_path / folder, a=FRAME)
    assert load([tmp_path / path]).project == tmp_path / project
    assert project_folder(tmp_path / path) == tmp_path / project


def test_the_working_folder_may_be_the_config_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, a=FRAME)
    monkeypatch.chdir(folder)
    assert load([Path()]).project == folder.parent


@pytest.mark.parametrize("make", ["missing", "empty"])
def test_a_missing_or_empty_place_is_one_clear_problem(folder: Path, make: str) -> None:
    path = folder if make == "empty" else folder / "none"
    assert [problem.code for problem in problems(path)] == ["no-config" if make == "empty" else "file-missing"]


def test_no_path_at_all_is_a_problem() -> None:
    with pytest.raises(ConfigError, match="no config is given"):
        load([])


def test_a_yaml_folder_inside_the_folder_is_refused(folder: Path) -> None:
    (folder / "a.yaml").mkdir()
    assert [problem.code for problem in problems(folder)] == ["no-file"]


OVERRIDES = [
    ("settings.costs.fee_percent=0.05", lambda config: config.settings.costs.fee_percent, 0.05),
    ("settings.fill=touch", lambda config: config.settings.fill, "touch"),
    ("settings.limits.signal_seconds=7", lambda config: config.settings.limits.signal_seconds, 7),
    ("settings.defaults.symbols=[A, B]", lambda config: config.settings.defaults.symbols, ("A", "B")),
    ("strategies.band.2.params.length=30", lambda config: config.strategies["band.2"].params["length"], 30),
    ("strategies.band.2.params.word=12:30", lambda config: config.strategies["band.2"].params["word"], "12:30"),
    ("strategies.band.2.params.word='12'", lambda config: config.strategies["band.2"].params["word"], "12"),
    ("strategies.band.2.params.fresh=1e3", lambda config: config.strategies["band.2"].params["fresh"], 1000.0),
    (
        "strategies.band.2.rules.long=close >= open",
        lambda config: config.strategies["band.2"].rules.long,
        "close >= open",
    ),
    ("exchanges.disk.steps.ETH.price=3", lambda config: config.exchanges["disk"].steps["ETH"].price, 3.0),
    ("optimizers.ideas.train.0.end=2023-01-15", lambda config: config.optimizers["ideas"].train[0].end, 1673740800000),
    ("frames.spring.interval=1d", lambda config: config.frames["spring"].interval, "1d"),
]


@pytest.mark.parametrize(("text", "pick", "value"), OVERRIDES, ids=[text for text, _, _ in OVERRIDES])
def test_an_override_changes_one_value(text: str, pick: object, value: object) -> None:
    assert callable(pick)
    config = load([EVERYTHING], [text])
    assert pick(config) == value


def test_the_longest_known_name_counts_in_an_override(folder: Path) -> None:
    frames = "frames:\n" + "".join(
        f"  - {{name: {name}, start: 2023-03-01, end: 2023-03-22}}\n" for name in ("a", "a.interval", "b")
    )
    config = load([write(folder, a=frames)], ["frames.a.interval.interval=1d"])
    assert [frame.interval for frame in config.frames.values()] == ["1m", "1d", "1m"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("settings", "bad-override"),
        ("=3", "bad-override"),
        ("settings=3", "bad-override"),
        ("setings.gap=skip", "unknown-section"),
        ("strategies.bandd=3", "unknown-name"),
        ("strategies.coded=3", "bad-override"),
        ("strategies.coded.name=x", "bad-override"),
        ("settings.gap.x=1", "bad-override"),
        ("settings..x=1", "bad-override"),
        ("optimizers.ideas.train.9.end=2023-01-01", "bad-override"),
        ("optimizers.ideas.train.٠.end=2023-01-01", "bad-override"),
        ("settings.balance=[1", "bad-override"),
        ("settings.balance=" + "9" * 5000, "bad-number"),
        ("settings.balance=no", "wrong-type"),
        ("settings.blance=3", "unknown-key"),
        ("strategies.coded.risk=lose", "unknown-name"),
    ],
)
def test_a_wrong_override_is_refused_by_its_own_text(text: str, code: str) -> None:
    (problem,) = problems(EVERYTHING, text)
    assert problem.code == code
    assert problem.where is not None
    assert (problem.where.file or "").startswith("--set " + text[:20])


def test_one_path_cannot_be_set_twice() -> None:
    assert [one.code for one in problems(EVERYTHING, "settings.balance=1", "settings.balance=2")] == ["override-twice"]


def test_a_name_with_a_typo_is_answered_with_the_nearest() -> None:
    (problem,) = problems(EVERYTHING, "strategies.coded.risk=lose")
    assert problem.hint == "did you mean loose?"
    assert problem.expected == "strict, loose"


def test_the_place_of_a_value_is_known_after_loading() -> None:
    config = load([EVERYTHING], ["strategies.coded.risk=strict", "strategies.coded.sizing=fixed"])
    lines = EVERYTHING.read_text(encoding="utf-8").splitlines()
    where = config.where("strategies", "band.2", "rules", "let", "upper")
    assert where.key == 'strategies[0] "band.2" › rules › let › upper'
    assert where.line is not None
    assert where.column is not None
    assert lines[where.line - 1][where.column - 1 :].startswith('"bb_upper')
    assert config.where("strategies", "coded", "risk").file == "--set strategies.coded.risk=strict"
    balance = config.where("settings", "balance")
    assert (balance.file, balance.key) == (str(EVERYTHING), "settings › balance")
    assert config.where("settings", "defaults", "absent").line == 2
    assert config.where("frames", "absent").file is None


def test_a_variable_of_the_environment_is_resolved_on_use_and_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("API_KEY", raising=False)
    config = load([EVERYTHING])
    assert config.exchanges["real"].model_dump()["api_key"] == "${API_KEY}"
    with pytest.raises(ConfigError) as caught:
        config.secret("${API_KEY}")
    (problem,) = caught.value.problems
    assert "API_KEY" in problem.what
    assert problem.where is not None
    assert (problem.where.file, problem.where.key) == (str(EVERYTHING), 'exchanges[2] "real" › api_key')
    monkeypatch.setenv("API_KEY", "canary-4711")
    assert config.secret("${API_KEY}") == "canary-4711"
    assert config.redactor.clean("key=canary-4711") == "key=***"
    assert config.secret("http://127.0.0.1:8080") == "http://127.0.0.1:8080"
    assert config.redactor.clean("at http://127.0.0.1:8080") == "at http://127.0.0.1:8080"


def test_a_secret_written_into_the_file_is_masked_too(folder: Path) -> None:
    write(folder, a="exchanges: [{name: a, use: ccxt, id: kraken, secret: canary-4711}]\n")
    config = load([folder])
    assert config.secret("canary-4711") == "canary-4711"
    assert config.redactor.clean("canary-4711") == "***"


def test_environment_references_are_replaced_inside_a_text() -> None:
    assert resolve_env("https://${HOST}/${PATH_1}", {"HOST": "h", "PATH_1": "${X}"}) == "https://h/${X}"
    assert resolve_env("$HOST {HOST} plain", {}) == "$HOST {HOST} plain"
    with pytest.raises(ConfigError):
        resolve_env("${EMPTY}", {"EMPTY": ""})


def test_a_config_travels_to_another_process_without_its_resolved_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "canary-4711")
    config = load([EVERYTHING])
    config.secret("${API_KEY}")
    content = pickle.dumps(config)
    assert b"canary-4711" not in content
    copy = pickle.loads(content)
    assert isinstance(copy, Config)
    assert copy == config


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 6000), insert=st.text(alphabet="{}[]:,-&*!'\"# \n\tx1", max_size=4), drop=st.integers(0, 12))
def test_a_mutated_config_loads_or_is_refused_with_places(tmp_path: Path, cut: int, insert: str, drop: int) -> None:
    text = EVERYTHING.read_text(encoding="utf-8")
    file = tmp_path / "mutated.yaml"
    file.write_text(text[:cut] + insert + text[cut + drop :], encoding="utf-8")
    try:
        config = load([file])
    except ConfigError as error:
        unplaced = [problem for problem in error.problems if problem.where is None]
    else:
        unplaced = [] if config.frames else [Problem("lost", "the frames are gone")]
    assert unplaced == []


@pytest.mark.parametrize(
    "text",
    [
        "settings.cost.fee_percent=0.2",
        "settings.costs.fe_percent=0.2",
        "strategies.listed.rles.long=close",
        "strategies.listed.params.size.deep=1",
    ],
)
def test_a_key_that_only_an_override_gives_is_refused_at_the_override(text: str, folder: Path) -> None:
    write(folder, a=FRAME + STRATEGY + "settings: {gap: skip, costs: {fee_percent: 0.1}}\n")
    for problem in problems(folder, text):
        assert problem.where is not None
        assert problem.where.file == f"--set {text}"


def test_a_key_of_a_file_is_refused_there_whatever_an_override_gives_below_it(folder: Path) -> None:
    write(folder, a=FRAME + STRATEGY + "settings: {cost: {fee_percent: 0.1}}\n")
    (problem,) = problems(folder, "settings.cost.fee_percent=0.2")
    assert problem.where is not None
    assert (problem.where.file, problem.where.line) == (str(folder / "a.yaml"), 5)
