"""An optimizer with a model: how often it is asked, what is kept, and the project that is written."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from model_servers import BAD_TEXTS
from unit.run.test_drafts import changed

from backtestkit_cli import Kit
from backtestkit_cli.errors import DataError, Problem, RejectedError, StrategyError, TransientError, UsageError
from backtestkit_cli.model.event import DraftsMade, ProjectMade, ProjectWritten
from backtestkit_cli.model.message import Message
from backtestkit_cli.report.conversation import dump_conversation


class Model:
    """A model with its answers in order; an error is raised. After the last it fails."""

    def __init__(self, *answers: str | BaseException) -> None:
        self.answers = iter(answers)
        self.asked: list[tuple[Message, ...]] = []

    def complete(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
        self.asked.append(tuple(messages))
        answer = next(self.answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def project(folder: Path, model: Model, **keys: Any) -> Kit:
    def made(**_: object) -> Model:
        return model

    kit = Kit.empty(folder)
    kit.add_exchange(name="market", use="files", path="candles/{symbol}.csv")
    kit.add_exchange(name="sample", use="sample")
    values: dict[str, Any] = {
        "name": "ideas",
        "use": made,
        "model": "m",
        "drafts": 2,
        "exchange": "sample",
        "symbol": "BTCUSDT",
        "train": [{"start": "2023-03-01", "end": "2023-03-02"}, {"start": "2023-03-02", "end": "2023-03-03"}],
        "test": {"start": "2023-03-03", "end": "2023-03-05"},
        "sources": [{"candles": "4h"}],
    }
    kit.add_optimizer({**values, **keys})
    return kit


LATER = TransientError(Problem("model-failed", "later"))
NEVER = RejectedError(Problem("model-refused", "never"))


def test_each_draft_has_its_own_copy_of_the_conversation_of_its_range(tmp_path: Path) -> None:
    model = Model(*(changed(lifetime=f"{hours}h") for hours in (1, 2, 3, 4)))
    entries = project(tmp_path, model).optimizer("ideas").get_data()
    assert [len(messages) for messages in model.asked] == [4, 4, 4, 4]
    assert [len(one.messages) for one in entries] == [5, 5, 5, 5]
    first, second, third, _ = model.asked
    assert first[:3] == second[:3] != third[:3]
    assert "draft 1 of 2" in first[3].content
    assert "draft 2 of 2" in second[3].content


def test_a_draft_is_asked_for_again_with_what_is_wrong_and_lost_after_three_tries(tmp_path: Path) -> None:
    rubbish = list(BAD_TEXTS.values())
    model = Model("no", changed(long="close >"), "{}", rubbish[0], changed(), *rubbish[1:4], *rubbish[4:7])
    kit = project(tmp_path, model)
    entries = kit.optimizer("ideas").get_data()
    assert [(one.strategy is not None, one.tries) for one in entries] == [
        (False, 3),
        (True, 2),
        (False, 3),
        (False, 3),
    ]
    repair = model.asked[2][-1]
    assert repair.role == "user"
    assert "long: the rule cannot be read" in repair.content
    assert model.asked[2][-2] == Message(role="assistant", content=changed(long="close >"))


@pytest.mark.parametrize("text", BAD_TEXTS.values(), ids=BAD_TEXTS.keys())
def test_a_model_that_only_talks_rubbish_is_asked_three_times_and_nothing_is_written(tmp_path: Path, text: str) -> None:
    model = Model(text, text, text)
    kit = project(tmp_path, model, drafts=1, train=[{"start": "2023-03-01", "end": "2023-03-02"}])
    optimizer = kit.optimizer("ideas")
    with pytest.raises(StrategyError) as caught:
        optimizer.dump()
    assert caught.value.code == "no-draft"
    with pytest.raises(StrategyError):
        optimizer.dump()
    assert len(model.asked) == 3
    assert not (tmp_path / "drafts").exists()


def test_a_model_that_may_answer_later_is_asked_three_times_and_one_that_never_will_once(tmp_path: Path) -> None:
    for error, asked in ((LATER, 3), (NEVER, 1)):
        model = Model(error, error, error)
        with pytest.raises(type(error)):
            project(tmp_path, model).optimizer("ideas").get_data()
        assert len(model.asked) == asked


def test_a_provider_of_the_user_that_raises_or_answers_no_text_is_named(tmp_path: Path) -> None:
    for answer in (ValueError("boom"), 7):
        with pytest.raises(StrategyError) as caught:
            project(tmp_path, Model(answer)).optimizer("ideas").get_data()  # type: ignore[arg-type]
        assert caught.value.code in ("plugin-raised", "bad-answer")


def test_an_interrupted_run_goes_on_without_asking_twice(tmp_path: Path) -> None:
    first = Model(changed(lifetime="1h"), changed(lifetime="2h"), KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        project(tmp_path, first).optimizer("ideas").get_data()
    second = Model(changed(lifetime="3h"), changed(lifetime="4h"))
    entries = project(tmp_path, second).optimizer("ideas").get_data()
    assert len(second.asked) == 2
    assert [one.strategy["rules"]["lifetime"] for one in entries if one.strategy] == ["1h", "2h", "3h", "4h"]
    third = Model()
    project(tmp_path, third).optimizer("ideas").get_data()
    assert third.asked == []


def test_a_draft_that_trades_like_an_earlier_one_is_left_out(tmp_path: Path) -> None:
    model = Model(changed(), changed(note="new words"), changed(lifetime="3h"), changed())
    kit = project(tmp_path, model)
    heard: list[Any] = []
    kit.on(DraftsMade | ProjectMade | ProjectWritten, heard.append)
    optimizer = kit.optimizer("ideas")
    folder = optimizer.dump()
    assert [one.twin for one in optimizer.get_data()] == [None, "draft-1", None, "draft-1"]
    assert [one.kind for one in heard] == ["drafts_made", "project_made", "project_written"]
    assert list(heard[0].drafts) == ["draft-1", "draft-3"]
    assert heard[1].text == (folder / "configs" / "drafts.yaml").read_text()
    assert heard[2].folder == str(folder)
    made = Kit.load(folder / "configs")
    assert made.get_walker("ideas").strategies == ("draft-1", "draft-3")
    assert made.get_walker("ideas").frame == "test"
    assert made.walker("ideas").run().contest.outcomes


def test_a_project_finds_the_files_of_the_one_it_comes_from(tmp_path: Path) -> None:
    kit = project(tmp_path, Model(changed(), changed()), exchange="market", drafts=1)
    rows = kit.exchange("sample").candles("BTCUSDT", "1m", range="2023-03-01..2023-03-05")
    table = zip(rows.time, rows.open, rows.high, rows.low, rows.close, rows.volume, strict=True)
    (tmp_path / "candles").mkdir()
    lines = [",".join(map(str, row)) for row in table]
    (tmp_path / "candles" / "BTCUSDT.csv").write_text("\n".join(["time,open,high,low,close,volume", *lines]) + "\n")
    folder = kit.optimizer("ideas").dump(tmp_path / "far" / "away")
    kit.override_optimizer(
        "ideas", train=[{"start": "2023-03-05T00:30", "end": "2023-03-06"}], test={"end": "2023-03-05"}
    )
    with pytest.raises(DataError, match="no candles"):
        kit.optimizer("ideas").get_data()
    made = Kit.load(folder / "configs")
    assert made.config.plain()["exchanges"][0]["path"] == "../../candles/{symbol}.csv"
    assert made.walker("ideas").run().contest.outcomes


def test_what_lies_at_the_place_is_left_alone_and_nobody_is_asked(tmp_path: Path) -> None:
    model = Model()
    (tmp_path / "drafts" / "ideas").mkdir(parents=True)
    with pytest.raises(UsageError, match="something at this place"):
        project(tmp_path, model).optimizer("ideas").dump()
    assert model.asked == []


def test_a_conversation_is_a_folder_that_is_written_once(tmp_path: Path) -> None:
    said = (
        Message(role="system", content="Be brief."),
        Message(role="user", content="x" * 30_000),
        Message(role="assistant", content="OK"),
        Message(role="user", content="Long?"),
    )
    folder = dump_conversation("one", said, {"position": "wait"}, tmp_path)
    names = ["00_system_prompt.md", "01_user_message.md", "02_user_message.md", "03_llm_output.md"]
    assert sorted(path.name for path in folder.iterdir()) == names
    texts = [(folder / name).read_text() for name in names]
    assert "Be brief." in texts[0]
    assert "29.3 KiB" in texts[1]
    assert "KiB" not in texts[2]
    assert "OK" not in "".join(texts)
    assert json.loads(texts[3].split("```json\n")[1].split("\n```")[0]) == {"position": "wait"}
    dump_conversation("one", said[:1], None, tmp_path)
    assert [(folder / name).read_text() for name in names] == texts
