"""What a run asked a strategy and was answered: a few of many, always the same ones for the same run."""

from dataclasses import dataclass, field

from backtestkit_cli.engine.decide import Answer
from backtestkit_cli.model.signal import SignalDraft

MOST_KEPT = 32


@dataclass(slots=True)
class Kept:
    """Some answers of a run, spread over all of it: at most twice `MOST_KEPT`, the same for the same run."""

    answers: list[tuple[int, Answer]] = field(default_factory=list)
    every: int = 1
    count: int = 0

    def add(self, time_ms: int, answer: Answer) -> None:
        """Keep every answer, then every second, every fourth."""
        if self.count % self.every == 0:
            self.answers.append((time_ms, answer))
            if len(self.answers) >= 2 * MOST_KEPT:
                self.answers, self.every = self.answers[::2], 2 * self.every
        self.count += 1


@dataclass(slots=True)
class Asked:
    """What a run asked and was answered: some of the drafts and some of the rest."""

    drafts: Kept = field(default_factory=Kept)
    others: Kept = field(default_factory=Kept)

    def add(self, time_ms: int, answer: Answer) -> None:
        """Keep an answer, perhaps; failures are told elsewhere."""
        kept = self.drafts if isinstance(answer, SignalDraft) else self.others
        kept.add(time_ms, answer)

    def some(self) -> list[tuple[int, Answer]]:
        """Two drafts and two others, spread over the run, the latest first."""
        chosen = [
            answers[len(answers) * third // 3]
            for answers in (self.drafts.answers, self.others.answers)
            if answers
            for third in (1, 2)
        ]
        return sorted(dict(chosen).items(), reverse=True)
