"""Whether decisions stand when they are made again from the same past: the long form, for `check`.

* A strategy in rows is evaluated twice as it is, then with another future at each moment; every decision up to that
  moment must be the same.
* A strategy that is asked runs through the frame twice; then single decisions are asked alone, with every future, and
  the whole sequence again up to a few moments.
* For some moments the files of the project end there too.
* The first moment that shows a look ahead ends its kind of probe: more of them would tell the same again. What the
  strategy raises in a probe is told and ends nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from backtestkit_cli.engine.candles import Candles
from backtestkit_cli.engine.doubt import Doubt, DoubtCode
from backtestkit_cli.errors import BacktestkitError
from backtestkit_cli.model.time import iso
from backtestkit_cli.run.checks.afresh import Afresh, Walked
from backtestkit_cli.run.checks.cut_files import CutProject
from backtestkit_cli.run.checks.decisions import Decisions, Difference, differences
from backtestkit_cli.run.checks.later import LATERS, WHEN, until, with_later

FILES_END = "when the files of the project end at {}"
MADE_TWICE = "when the run is repeated"
ASKED_ALONE = "when it is asked at that time alone"
_FILE_MOMENTS = 8
_SEQUENCES = 3


@dataclass(slots=True)
class Probed:
    """What the probes found: doubts, one for each code and field, and what was raised on the way."""

    doubts: list[Doubt] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    moments: int = 0

    @property
    def looks_ahead(self) -> bool:
        """Whether that is known already."""
        return any(doubt.code == "looks-ahead" for doubt in self.doubts)

    def add(self, code: DoubtCode, found: Sequence[Difference], when: str) -> None:
        """Keep what is new."""
        for one in found:
            if not any(doubt.code == code and doubt.column == one.field for doubt in self.doubts):
                self.doubts.append(doubt_of(code, one, when))


def doubt_of(code: DoubtCode, found: Difference, when: str) -> Doubt:
    """A difference as a doubt."""
    return Doubt(
        code=code, column=found.field, time_ms=found.time_ms, known=found.known, again=found.again, again_when=when
    )


def probe_rows(afresh: Afresh, candles: Candles, moments: Sequence[int], project: CutProject) -> Probed:
    """Probe a strategy that decides in rows."""
    probed, last_ms, first_ms = Probed(moments=len(moments)), int(afresh.ticks[-1]), afresh.plan.range.start_ms
    known = afresh.rows(candles, last_ms)
    found = differences(known, afresh.rows(candles, last_ms), first_ms, last_ms)
    if found:
        probed.add("not-deterministic", found, MADE_TWICE)
        return probed
    for moment in _unless_found(probed, moments):
        for later in LATERS:
            changed = with_later(candles, moment, later)
            with _raising_into(probed):
                again = afresh.rows(changed, changed.end_ms)
                probed.add("looks-ahead", differences(known, again, first_ms, moment), WHEN[later].format(iso(moment)))
    for moment in _unless_found(probed, _some(moments, _FILE_MOMENTS) if project.files else ()):
        with project.at(moment) as folder, _raising_into(probed):
            again = afresh.rows(until(candles, moment), moment, folder)
            probed.add("looks-ahead", differences(known, again, first_ms, moment), FILES_END.format(iso(moment)))
    return probed


def probe_answers(
    afresh: Afresh, candles: Candles, known: Walked, moments: Sequence[int], project: CutProject
) -> Probed:
    """Probe a strategy that is asked; `known` is what it answered in a run."""
    probed, first_ms, last_ms = Probed(moments=len(moments)), afresh.plan.range.start_ms, int(afresh.ticks[-1])
    found = differences(known.decisions, afresh.walked(candles, last_ms).decisions, first_ms, last_ms)
    if found:
        probed.add("not-deterministic", found, MADE_TWICE)
        return probed
    for moment in _unless_found(probed, moments):
        with _raising_into(probed):
            _probe_alone(probed, afresh, candles, known.decisions, moment)
    for moment in _unless_found(probed, _some(moments, _FILE_MOMENTS) if project.files else ()):
        with project.at(moment) as folder, _raising_into(probed):
            alone = afresh.alone(candles, moment)
            again = afresh.alone(until(candles, moment), moment, folder)
            probed.add("looks-ahead", differences(alone, again, moment, moment), FILES_END.format(iso(moment)))
    for moment in _unless_found(probed, _some(moments, _SEQUENCES)):
        with project.at(moment) as folder, _raising_into(probed):
            again = afresh.walked(until(candles, moment), moment, folder).decisions
            when = (FILES_END if folder else WHEN["nothing"]).format(iso(moment))
            # where the candles end no decision is taken any more
            probed.add("looks-ahead", differences(known.decisions, again, first_ms, moment - 1), when)
    return probed


def _probe_alone(probed: Probed, afresh: Afresh, candles: Candles, known: Decisions, moment: int) -> None:
    alone = afresh.alone(candles, moment)
    found = differences(known, alone, moment, moment)
    if found:
        if differences(alone, afresh.alone(candles, moment), moment, moment):
            probed.add("not-deterministic", found, ASKED_ALONE)
            return
        probed.add("carries-state", found, ASKED_ALONE)
    for later in LATERS:
        again = afresh.alone(with_later(candles, moment, later), moment)
        probed.add("looks-ahead", differences(alone, again, moment, moment), WHEN[later].format(iso(moment)))


def _unless_found(probed: Probed, moments: Sequence[int]) -> Iterator[int]:
    """The moments, up to the first at which a look ahead was found."""
    for moment in moments:
        if not probed.looks_ahead:
            yield moment


def _some(moments: Sequence[int], count: int) -> list[int]:
    """At most `count` of the moments, the last among them."""
    step = max(1, -(-len(moments) // count))
    return list(moments[::-step])[::-1]


@contextmanager
def _raising_into(probed: Probed) -> Iterator[None]:
    """Let what the strategy raises end one probe and be told."""
    try:
        yield
    except BacktestkitError as error:
        probed.raised.append(str(error))
