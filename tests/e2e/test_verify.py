"""`run verify`: a stored run is done again, and the verdict names what is not as it was."""

import hashlib
import json
import sys
from pathlib import Path

import polars as pl
import pytest
from e2e.project import MINUTE_MS, START_MS, Project, candle_csv, candle_rows, make_project, snapshot

from backtestkit_cli.report.dump import seal_of

MINUTES = 3 * 1440
COUNTING = """\
from pathlib import Path
from backtestkit_cli import Market, SignalDraft

times = Path(__file__).with_name("times.txt")
count = len(times.read_text()) if times.exists() else 0


def counting(market: Market) -> SignalDraft | None:
    price = market.price
    return SignalDraft(
        position="long", price_take_profit=price * 1.03, price_stop_loss=price * 0.97, lifetime_minutes=60 + count
    )
"""
TOLD = """\
from pathlib import Path


def told(event: object) -> None:
    with Path(__file__).with_name("told.txt").open("a") as file:
        file.write("x")
    raise ValueError("no")


def small(question: object) -> str | None:
    return "enough" if len(question.positions) >= 1 else None
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = make_project(tmp_path / "project")
    project.write("data/BTCUSDT.csv", candle_csv(candle_rows(MINUTES)))
    return project


def outcome(project: Project, run: str = "last") -> tuple[int, str]:
    done = project.inside("run", "verify", run, "--json")
    assert done.stderr == ""
    document = done.document
    assert document["exit_code"] == done.code
    return done.code, document["outcome"]


def rewrite(project: Project, run_id: str, manifest: dict[str, object]) -> None:
    """Put a manifest, sealed anew, in the place of that of a run."""
    project.write(f"logs/runs/{run_id}/manifest.json", json.dumps({**manifest, "seal": seal_of(manifest)}))


def test_a_run_of_every_form_is_identical_and_verifying_writes_nothing(project: Project) -> None:
    assert project.inside("backtest").code == 0
    before = snapshot(project.folder)
    done = project.inside("run", "verify")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"Run {next(iter(project.bundles))}: identical"
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert outcome(project) == (0, "identical")
    assert snapshot(project.folder) == before


def test_a_range_with_overrides_is_done_again_from_the_bundle(project: Project) -> None:
    set_ = ("--set", "settings.fill=touch", "--set", "strategies.cross.rules.lifetime=3h")
    assert project.inside("backtest", "cross", "--range", "2023-03-01T06:00..2023-03-02", *set_).code == 0
    assert outcome(project) == (0, "identical")


@pytest.mark.parametrize("text", ["strategies: []\n", "strategies: {broken\n"])
def test_what_the_config_says_today_does_not_matter(project: Project, text: str) -> None:
    assert project.inside("backtest", "cross", "asked").code == 0
    project.write("configs/strategies.yaml", text)
    project.write("configs/market.yaml", text)
    assert outcome(project) == (0, "identical")


def test_changed_code_is_named_with_both_hashes(project: Project) -> None:
    assert project.inside("backtest", "asked", "cross").code == 0
    own = project.folder / "strategies" / "own.py"
    own.write_text(own.read_text().replace("lifetime_minutes=90", "lifetime_minutes=91"))
    done = project.inside("run", "verify", "--json")
    (change,) = done.document["changes"]
    assert (done.code, done.document["outcome"]) == (5, "changed")
    assert (change["kind"], change["what"]) == ("code", "strategies/own.py")
    assert change["then"] != change["now"]
    differing = {one["file"]: one["first"] for one in done.document["differences"]}
    assert "lifetime_minutes 90 → 91" in differing["trades.parquet"]
    text = project.inside("run", "verify").stdout
    assert "code strategies/own.py:" in text


def test_code_that_changed_without_effect_on_trades_leaves_them_the_same(project: Project) -> None:
    assert project.inside("backtest", "asked").code == 0
    own = project.folder / "strategies" / "own.py"
    own.write_text(own.read_text() + "\n# a remark\n")
    done = project.inside("run", "verify")
    assert done.code == 5  # the id of the run is another one, and stands in its report
    assert "the same: candles.parquet, equity.parquet, events.parquet, trades.parquet" in done.stdout


def test_a_changed_check_of_a_risk_profile_is_named(project: Project) -> None:
    project.write("strategies/checks.py", TOLD)
    project.write("configs/risk.yaml", 'risks:\n  - {name: calm, checks: ["strategies/checks.py:small"]}\n')
    assert project.inside("backtest", "asked", "--set", "strategies.asked.risk=calm").code == 0
    assert outcome(project) == (0, "identical")
    project.write("strategies/checks.py", TOLD.replace(">= 1", ">= 0"))
    done = project.inside("run", "verify", "--json")
    assert (done.code, [one["what"] for one in done.document["changes"]]) == (5, ["strategies/checks.py"])


def test_an_installed_module_counts_for_a_run_wherever_it_lies(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (project.folder / "strategies" / "own.py").read_text()
    project.write(
        "configs/installed.yaml", "strategies:\n  - {name: installed, interval: 1h, use: 'house_own:asked'}\n"
    )
    ids = []
    for folder, text in (
        ("here", body),
        ("there", body),
        ("newer", body.replace("lifetime_minutes=90", "lifetime_minutes=91")),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "house_own.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path / folder)
        monkeypatch.delitem(sys.modules, "house_own", raising=False)
        ids.append(project.inside("backtest", "installed", "--json").document["run"]["run_id"])
    assert ids[0] == ids[1] != ids[2]
    done = project.inside("run", "verify", ids[0], "--json")
    assert (done.code, [one["what"] for one in done.document["changes"]]) == (5, ["house_own"])


def test_changed_candles_are_named_with_the_first_month_that_differs(project: Project) -> None:
    assert project.inside("backtest", "cross", "--exchange", "files", "--range", "2023-03-01..2023-03-03").code == 0
    assert outcome(project) == (0, "identical")
    rows = candle_rows(MINUTES)
    rows[700][5] = 2.0
    project.write("data/BTCUSDT.csv", candle_csv(rows))
    done = project.inside("run", "verify", "--json")
    (change,) = done.document["changes"]
    assert (done.code, change["kind"], change["what"]) == (5, "candles", "cross BTCUSDT")
    assert change["detail"] == "the first month that differs is 2023-03"


def test_a_table_edited_by_hand_is_damage_even_where_the_run_is_reproducible(project: Project) -> None:
    assert project.inside("backtest", "asked").code == 0
    (run_id,) = project.bundles
    path = project.folder / "logs" / "runs" / run_id / "trades.parquet"
    pl.read_parquet(path).with_columns(pnl_percent=pl.lit(5.0)).write_parquet(path)
    done = project.inside("run", "verify")
    assert done.code == 3
    assert "trades.parquet was changed after the run" in done.stdout
    assert "the run gives what its manifest says" in done.stdout
    path.unlink()
    assert "trades.parquet is missing" in project.inside("run", "verify").stdout


def test_a_result_that_differs_without_a_reason_is_told_loudly(project: Project) -> None:
    project.write("strategies/counting.py", COUNTING)
    use = '{name: counting, interval: 1h, use: "strategies/counting.py:counting"}'
    project.write("configs/counting.yaml", f"strategies:\n  - {use}\n")
    assert project.inside("backtest", "counting").code == 0
    project.write("strategies/times.txt", "x")
    done = project.inside("run", "verify")
    assert done.code == 1
    assert "NOT THE SAME, and nothing has changed" in done.stdout
    assert "row 1: counting BTCUSDT 2023-03-01T01:00" in done.stdout
    assert "lifetime_minutes 60 → 61" in done.stdout


def test_callbacks_are_not_called_again_and_what_they_did_wrong_stays_in_the_report(project: Project) -> None:
    project.write("strategies/told.py", TOLD)
    set_ = ("--set", "strategies.asked.callbacks.on_open=strategies/told.py:told")
    assert project.inside("backtest", "asked", *set_).code == 0
    told = project.folder / "strategies" / "told.txt"
    before = told.read_text()
    assert before
    assert outcome(project) == (0, "identical")
    assert told.read_text() == before


def test_an_interrupted_run_cannot_be_verified(project: Project) -> None:
    assert project.inside("backtest", "cross").code == 0
    (run_id,) = project.bundles
    rewrite(project, run_id, {**project.bundles[run_id], "status": "interrupted"})
    done = project.inside("run", "verify", "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "run-interrupted")


@pytest.mark.parametrize("text", ["{", "[]", '{"run_id": "other", "status": "complete"}'])
def test_a_manifest_that_cannot_be_read_is_one_message(project: Project, text: str) -> None:
    assert project.inside("backtest", "cross").code == 0
    (run_id,) = project.bundles
    project.write(f"logs/runs/{run_id}/manifest.json", text)
    done = project.inside("run", "verify", run_id, "--json")
    assert (done.code, done.document["error"]["code"]) == (3, "damaged-run")


def test_a_manifest_with_one_hash_changed_is_damaged(project: Project) -> None:
    assert project.inside("backtest", "cross").code == 0
    (run_id,) = project.bundles
    manifest = project.bundles[run_id]
    manifest["files"]["trades.parquet"] = "0" * 64
    project.write(f"logs/runs/{run_id}/manifest.json", json.dumps(manifest))
    done = project.inside("run", "verify")
    assert done.code == 3
    assert f"the manifest of run {run_id} was changed after the run" in done.stderr


def test_a_bundle_of_an_older_version_says_that_it_cannot_be_done_again(project: Project) -> None:
    assert project.inside("backtest", "cross").code == 0
    (run_id,) = project.bundles
    rewrite(project, run_id, {key: value for key, value in project.bundles[run_id].items() if key != "rerun"})
    assert project.inside("run", "verify", "--json").document["error"]["code"] == "run-not-repeatable"


def test_another_program_with_the_same_result_is_no_difference(project: Project) -> None:
    assert project.inside("backtest", "cross").code == 0
    (run_id,) = project.bundles
    manifest = project.bundles[run_id]
    rewrite(project, run_id, {**manifest, "package": "0" * 64, "versions": {**manifest["versions"], "polars": "0.1"}})
    done = project.inside("run", "verify")
    assert done.code == 0
    assert "Changed since, without effect on the result" in done.stdout
    assert "package polars: 0.1 →" in done.stdout
    assert "program backtestkit: 000000000000 →" in done.stdout


def test_a_table_in_other_bytes_with_the_same_content_is_the_same(project: Project) -> None:
    assert project.inside("backtest", "cross").code == 0
    (run_id,) = project.bundles
    manifest = project.bundles[run_id]
    path = project.folder / "logs" / "runs" / run_id / "trades.parquet"
    pl.read_parquet(path).write_parquet(path, compression="uncompressed")
    manifest["files"]["trades.parquet"] = hashlib.sha256(path.read_bytes()).hexdigest()
    rewrite(project, run_id, manifest)
    assert outcome(project) == (0, "identical")


def test_a_forged_table_differs_without_a_reason(project: Project) -> None:
    assert project.inside("backtest", "asked").code == 0
    (run_id,) = project.bundles
    manifest = project.bundles[run_id]
    path = project.folder / "logs" / "runs" / run_id / "trades.parquet"
    trades = pl.read_parquet(path)
    trades.head(len(trades) - 1).write_parquet(path)
    manifest["files"]["trades.parquet"] = hashlib.sha256(path.read_bytes()).hexdigest()
    rewrite(project, run_id, manifest)
    done = project.inside("run", "verify")
    assert done.code == 1
    assert f"row {len(trades)}: asked BTCUSDT" in done.stdout
    assert "is there now only" in done.stdout


def test_a_file_of_code_that_is_gone_is_told_as_such(project: Project) -> None:
    assert project.inside("backtest", "listed").code == 0
    (project.folder / "strategies" / "listed.csv").unlink()
    done = project.inside("run", "verify", "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "file-missing")


def test_candles_of_another_time_name_the_month_that_is_there_on_one_side_only(project: Project) -> None:
    rows = candle_rows(MINUTES, start_ms=START_MS - 1440 * MINUTE_MS)
    project.write("data/BTCUSDT.csv", candle_csv(rows))
    backtest = ("backtest", "cross", "--exchange", "files", "--range", "2023-03-01..2023-03-02")
    assert project.inside(*backtest).code == 0
    project.write("data/BTCUSDT.csv", candle_csv(rows[1440:]))
    done = project.inside("run", "verify", "--json")
    assert done.code == 5
    assert done.document["changes"][0]["detail"] == "the first month that differs is 2023-02: candles then only"


def test_secrets_are_not_stored_and_not_needed(project: Project) -> None:
    project.write(
        "configs/secret.yaml",
        "settings: {notify: [{url: 'https://example.org/token-of-mine', events: [opened]}]}\n"
        "exchanges:\n  - {name: mine, use: ccxt, id: binance, api_key: my-own-api-key, secret: '${MY_SECRET}'}\n",
    )
    assert project.inside("data", "import", "data/BTCUSDT.csv", "--exchange", "mine", "--symbol", "BTCUSDT").code == 0
    assert project.inside("backtest", "cross", "--exchange", "mine").code == 0
    (run_id,) = project.bundles
    manifest = (project.folder / "logs" / "runs" / run_id / "manifest.json").read_text()
    assert "my-own-api-key" not in manifest
    assert "token-of-mine" not in manifest
    assert "${MY_SECRET}" in manifest
    assert outcome(project) == (0, "identical")


def test_a_run_that_rests_on_a_secret_of_its_params_is_refused(project: Project) -> None:
    text = (project.folder / "strategies" / "own.py").read_text()
    project.write(
        "strategies/own.py", text.replace("asked(market: Market)", "asked(market: Market, *, token: str = '')")
    )
    assert project.inside("backtest", "asked", "--set", "strategies.asked.params.token=abcdef").code == 0
    done = project.inside("run", "verify")
    assert done.code == 2
    assert "strategies.asked.params.token is a secret" in done.stderr


def test_the_library_gives_the_verdict_as_an_object(project: Project) -> None:
    from backtestkit_cli import Kit

    kit = Kit.load(project.folder / "configs")
    job = kit.backtest("asked")
    job.dump(job.run())
    assert kit.verify().outcome == "identical"
