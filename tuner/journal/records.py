"""Typed records of a study: evaluations, trials and the whole study.

This is the only module that makes metric names. Decisions may read `select/…` metrics, but never
`oracle/…` metrics.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_serializer

from tuner.journal.claim import chosen_before, claim_of
from tuner.journal.facts import StudyFacts
from tuner.journal.gradient_noise import NoiseRecord
from tuner.journal.node_spans import NodeSpan
from tuner.study.scores import Count, Record, Scores
from tuner.study.settings import StudySettings
from tuner.study.trial import RecordedConfig

TrialState = Literal["pending", "running", "paused", "completed", "pruned", "failed", "interrupted"]
Origin = Literal["baseline", "sampler", "enqueued", "added", "tuning", "design"]
"""The origin of a trial's configuration: the control of a search, its sampler, the study's file or
a user while it ran, the choice of a learning rate in a scaling study (not scored), or a design's
comparison."""
SEARCHED: tuple[Origin, ...] = ("sampler", "enqueued", "added")  # what a search chooses among
END_STATES: tuple[TrialState, ...] = ("completed", "pruned", "failed")
"""The final states of a trial."""
STOPPED: tuple[TrialState, ...] = ("pruned", "paused")
"""The states of trials that ASHA stopped, or paused, at a rung."""
AT_REST = (*END_STATES, "paused")
StudyState = Literal["running", "completed", "failed", "interrupted"]
FailureKind = Literal[
    "out_of_memory", "infeasible", "non_finite", "lost", "disk_full", "user_error", "error"
]
"""The reason why an attempt failed; `tuner.search.failures` decides the consequences."""

Moment = Annotated[float, Field(ge=0, lt=1e11)]
"""Unix time in seconds, before the year 5138."""
Seconds = Annotated[float, Field(ge=0, lt=1e11)]

OBJECTIVE = "select/objective"
ROUNDING = 1e-9
"""The largest difference between equal accuracies that are computed in different ways."""
DIAGNOSTIC = "diagnostic/"
"""Prefix of metrics that are measured apart from training and scores."""


def is_share(metric: str) -> bool:
    """Return whether a metric is a share from 0 to 1, which is shown in percent."""
    return metric.startswith(("select/", "oracle/", "test/"))


class Evaluation(Record):
    """A trial at a rung: its dev scores and their cost. A trial's clock is `pairs_seen`.

    `select` and `oracle` map names to scores: a language (`en`), an ordered language pair
    (`en-de`: sentence1 English, sentence2 German), or a mean over languages (`sources`,
    `targets`, a group such as `enf`). Decisions may read only `select`. `answers` covers the
    evaluation sets of both, not the means, with pairs in the order of rows; `tuner.journal.arrays`
    decodes it.
    """

    time: Moment = Field(description="Unix time at its end, seconds")
    rung: Count = Field(description="nominal budget in pairs")
    pairs_seen: Count = Field(
        description="pairs actually consumed, up to the first step at or past the rung"
    )
    step: Count = Field(description="optimizer steps done")
    objective: float = Field(
        description="the number that ASHA and the sampler see; never from `oracle`"
    )
    select: dict[str, Scores]
    oracle: dict[str, Scores] = Field({})
    criteria: dict[str, float] = Field(
        {}, description="every permitted criterion by its name; only at the full budget"
    )
    noise: dict[str, NoiseRecord] = Field(
        {},
        description="gradient noise by kind of batch (`monolingual`, `cross_lingual`), if it is "
        "probed and defined: a diagnostic, on which no choice depends",
    )
    train_loss: float = Field(description="mean loss over the pairs since the last rung")
    pairs_per_second: float = Field(gt=0, description="training alone, since the last rung")
    train_seconds: Seconds = Field(
        description="training time since the trial's start, evaluation excluded"
    )
    evaluation_seconds: Seconds = Field(description="time of this evaluation")
    noise_seconds: Seconds = Field(0.0, description="part of it for the probe of gradient noise")
    peak_memory_mb: float = Field(
        description="device memory on a GPU, else resident memory; of the worker that used most"
    )
    micro_plan: tuple[tuple[Count, Count], ...] = Field(
        min_length=1,
        description="(first step, pairs of a forward pass) for every size so far; with dropout, "
        "a rerun needs the same sizes",
    )
    workers: int = Field(1, description="workers that shared its steps; a rerun needs as many too")
    precision: Literal["fp32", "bf16"] = Field(
        description="precision used; the one that `auto` chose"
    )
    processor: str = Field("", description="name of the GPU that computed it, else of the CPU")
    threads: int = Field(0, description="CPU threads of one worker; sums depend on their number")
    answers: dict[str, str] = Field(
        {},
        description="the pairs that were classified correctly, as packed bits in base64, by "
        "evaluation set; only at the full budget",
    )

    def metrics(self) -> dict[str, float]:
        """Return flat metric names and values, as logged (accuracies and F1 from 0 to 1)."""
        named = {
            OBJECTIVE: self.objective,
            "train/loss": self.train_loss,
            "train/step": float(self.step),
            "cost/pairs_per_second": self.pairs_per_second,
            "cost/train_seconds": self.train_seconds,
            "cost/evaluation_seconds": self.evaluation_seconds,
            "cost/peak_memory_mb": self.peak_memory_mb,
            "cost/micro_size": float(self.micro_plan[-1][1]),
        }
        for role, scores in (("select", self.select), ("oracle", self.oracle)):
            for name, score in scores.items():
                named[f"{role}/accuracy/{name}"] = score.accuracy
                named[f"{role}/f1/{name}"] = score.f1
        named |= {f"select/criterion/{name}": value for name, value in self.criteria.items()}
        for kind, noise in self.noise.items():
            for name, value in noise.metrics().items():
                named[f"{DIAGNOSTIC}noise/{kind}/{name}"] = value
        return named


class Failure(Record):
    """A failed attempt at a trial; the trial's state tells whether the trial itself failed."""

    time: Moment = Field(description="Unix time, seconds")
    kind: FailureKind
    reason: str = Field(description="the reason in one line")
    pairs_seen: Count = Field(0, description="the pairs it is known to have seen")


class Attempt(Record):
    """One attempt at a trial, from its first step to its end. Times are Unix times in seconds."""

    nodes: tuple[str, ...] = Field(description="the node of each of its workers, by Ray's id")
    gpus: float = Field(description="GPUs that all its workers held together")
    cpus: float = Field(description="CPUs that all its workers held together")
    waiting: float = Field(description="time since which the trial waited to run")
    placed: float = Field(description="time just before its first step")
    ended: float = Field(description="time of its end; of this record if it is under way")
    outcome: TrialState | FailureKind = Field("running", description="how it ended")


class OnTest(Record):
    """A trial's evaluation on test, after the recommendation was fixed."""

    time: Moment = Field(description="Unix time at its end, seconds")
    scores: dict[str, Scores] = Field(
        description="by language (`en`), ordered language pair (`en-de`: sentence1 English), or "
        "mean over languages (`sources`, `targets`, a group as `enf`)"
    )
    answers: dict[str, str] = Field(
        description="pairs that were classified correctly: packed bits in base64, in row order"
    )
    majority: dict[str, float] = Field(
        description="accuracy of always giving the most frequent label, by language"
    )
    seconds: Seconds = Field(description="time that it took on a worker")

    def metrics(self) -> dict[str, float]:
        """Return flat metric names and values, as logged (accuracies and F1 from 0 to 1)."""
        named = {}
        for name, score in self.scores.items():
            named[f"test/accuracy/{name}"] = score.accuracy
            named[f"test/f1/{name}"] = score.f1
        return named


class Recommendation(Record):
    """A confirmation's recommendation, fixed on permitted dev before anything reads test."""

    time: Moment = Field(description="Unix time, seconds")
    arm: str = Field(description="name of the arm of the design")
    objective: dict[str, float] = Field(
        description="mean over the seeds of every arm that has them all, by name, 0 to 1"
    )


class TrialRecord(Record):
    """A trial as the journal describes it."""

    number: int
    origin: Origin
    arm: str = Field("", description="in a confirmation, the arm of which it is one seed")
    params: dict[str, Any] = Field(description="sampled or planned settings, by dotted name")
    config: RecordedConfig
    budget: int = Field(description="its full budget, in pairs")
    state: TrialState = "pending"
    reason: str = Field("", description="reason why it ended, in words")
    to_the_end: bool = Field(False, description="True if it continues whatever its rank")
    stopped_by_hand: bool = Field(False, description="True if a user stopped it")
    attempts: int = Field(0, description="times it was started: 1 unless it was restarted")
    started: float | None = Field(None, description="Unix time of the first start, seconds")
    ended: float | None = Field(None, description="Unix time, seconds")
    evaluations: tuple[Evaluation, ...] = ()
    failures: tuple[Failure, ...] = Field((), description="attempts that failed, in order")
    pairs_seen: Count = Field(0, description="the pairs it is known to have seen")
    repeated_pairs: int = Field(
        0, description="pairs that were lost with an attempt and trained again"
    )
    seconds: float = Field(0.0, description="time on a worker, over all attempts")
    gpu_seconds: float = Field(0.0, description="that time multiplied by the GPUs held")
    placed: tuple[Attempt, ...] = Field((), description="attempts that reached their first step")
    tests: tuple[OnTest, ...] = Field((), description="every time that it was evaluated on test")

    @property
    def last(self) -> Evaluation | None:
        """The latest evaluation."""
        return self.evaluations[-1] if self.evaluations else None


class StudyRecord(Record):
    """A whole study as the journal describes it: everything that a report needs."""

    name: str
    id: str = Field(description="unique for ever, even if a name is used again")
    created: float = Field(description="Unix time, seconds")
    began: str = Field("", description="storage in which it began, which it may have left")
    settings: StudySettings = Field(
        description="its settings after all changes, with paths adapted to its current folder"
    )
    facts: StudyFacts = Field(description="claim, data and versions, as found at the start")
    rungs: tuple[int, ...] = Field(description="nominal budgets in pairs, the last the full one")
    rules: int = Field(1, description="version of the rules by which trials are chosen")
    state: StudyState = "running"
    reason: str = ""
    seconds: float = Field(0.0, description="wall time over all drivers so far")
    trials: tuple[TrialRecord, ...] = ()
    nodes: tuple[NodeSpan, ...] = Field(
        (), description="nodes of the cluster, in the order in which they joined"
    )
    recommendation: Recommendation | None = Field(
        None, description="recommendation of a confirmation; test is never read before it"
    )
    read_before: tuple[str, ...] | None = Field(None, description="earlier readings of its test")

    @field_serializer("facts")
    def _known(self, facts: StudyFacts) -> dict[str, Any]:
        """Leave out what is unknown."""
        return facts.model_dump(mode="json", exclude_none=True)

    @property
    def claim(self) -> str:
        """The claim that its scores support."""
        return claim_of(self.facts, self.by_hand, self.read_before or ())

    @property
    def by_hand(self) -> int:
        """The number of trials of the search that a user added or stopped while it ran."""
        here = sum(t.stopped_by_hand or t.origin == "added" for t in self.trials)
        return here + chosen_before(self.settings)

    @property
    def complete(self) -> list[TrialRecord]:
        """Trials that reached their full budget with a finite score, by number."""
        return [trial for trial in self.trials if trial.state == "completed" and trial.last]

    @property
    def designed(self) -> bool:
        """True if the study has a design: its trials are planned, not searched for."""
        return self.settings.design is not None

    def ranked(self) -> list[TrialRecord]:
        """Return the complete trials of a search, best first; ties go to the earlier trial.

        Scores at lower budgets are never compared with these. A design's trials are not ranked: it
        compares configurations over seeds, where the best trial is merely the luckiest.
        """
        if self.designed:
            return []
        return sorted(self.complete, key=lambda t: (-t.last.objective if t.last else 0.0, t.number))

    @property
    def best(self) -> TrialRecord | None:
        """The first of `ranked`; unconfirmed, and biased upwards by its selection."""
        return next(iter(self.ranked()), None)

    def collapsed(self, trial: TrialRecord) -> bool:
        """Return whether a trial's last score is at most that of the most frequent label.

        Such a trial has learnt nothing; rounding alone puts no score above that level. A trial
        without a score has not collapsed.
        """
        majority = self.facts.majority_accuracy
        return trial.last is not None and trial.last.objective < majority + ROUNDING

    @property
    def learnt(self) -> bool:
        """True if there is a best trial that has not collapsed."""
        return self.best is not None and not self.collapsed(self.best)
