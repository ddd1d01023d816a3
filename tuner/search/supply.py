"""The supply of a study's trials: paused ones that resume, then new ones, within the budget."""

from __future__ import annotations

from tuner.journal.digest import Digest
from tuner.journal.events import Recommended, TrialCreated, TrialResumed
from tuner.journal.history import History
from tuner.journal.ledger import Ledger, Limits
from tuner.search.candidates import Candidates
from tuner.search.designed import Designed
from tuner.search.proposer import Params, Proposal, Proposer, Searched
from tuner.search.recommend import choice_is_due, recommendation
from tuner.search.requested import addable
from tuner.search.schedule import Schedule
from tuner.study import StudyConfig
from tuner.study.design import ConfirmDesign
from tuner.timing import now

RULES = 3
"""Version of the rules by which samplers and ASHA choose trials. It rises when the same journal
would lead to other trials, so that no search goes on by other rules than it began with."""
NO_ROOM = "budget.total_pairs leaves no room for another trial"
EXHAUSTED = "every configuration of the space was tried"


class Supply:
    """Decides which trial comes next when none waits.

    Args:
        study: the study's settings.
        schedule: its unfinished trials.
        history: the facts so far, which grow as the study goes on.
    """

    def __init__(self, study: StudyConfig, schedule: Schedule, history: History) -> None:
        self._study, self._schedule, self._history = study, schedule, history
        self._proposer: Proposer = (
            Searched(study, history.prior) if study.design is None else Designed(study)
        )
        self._limits = Limits.of(study)
        self._trials = study.trials
        self._candidates = Candidates()
        self._exhausted = False  # the proposer has no more points

    def next(self) -> TrialCreated | TrialResumed | None:
        """Return the fact that makes another trial wait; None if there is none, or none for now."""
        if (paused := self._resumable()) is not None:
            rung = self._history.trials[paused].evaluations[-1].rung
            reason = f"among the best at {rung:,} pairs"
            return TrialResumed(time=now(), number=paused, reason=reason)
        if not self._may_create():
            return self._completion()
        number = len(self._history.trials)
        proposal = self._proposer.propose(number, self._history.trials)
        if not isinstance(proposal, Proposal):
            self._exhausted = proposal is None
            return None
        return self._created(proposal)

    def choice(self) -> Recommended | None:
        """Return a confirmation's recommendation, as soon as it can be made; None otherwise."""
        design, trials = self._study.design, self._history.trials.values()
        if not isinstance(design, ConfirmDesign) or self._history.recommendation is not None:
            return None
        chosen = recommendation(design, trials) if choice_is_due(design, trials) else None
        return None if chosen is None else Recommended(time=now(), recommendation=chosen)

    def added(self, params: Params, request: str) -> TrialCreated:
        """Return the fact that a user's trial waits.

        Raises:
            UserError: it cannot be added.
        """
        trials = self._history.trials.values()
        return self._created(addable(self._study, trials, params), request)

    def _created(self, proposal: Proposal, request: str = "") -> TrialCreated:
        return TrialCreated(
            time=now(),
            number=len(self._history.trials),
            origin=proposal.origin,
            arm=proposal.arm,
            params=proposal.params,
            config=proposal.config,
            budget=self._study.rungs_of(proposal.config)[-1],
            request=request,
        )

    @property
    def has_more(self) -> bool:
        """True if another trial may come."""
        return self._may_create() or self._resumable() is not None or bool(self._completion())

    @property
    def spent(self) -> str:
        """The limit of the budget that is reached, in words; empty if none is."""
        return (
            self._limits.spent(Digest.at(self._history, now()).ledger) if self._limits.given else ""
        )

    @property
    def end(self) -> str:
        """The reason why fewer trials than asked for came, in words; empty if all came."""
        known, asked = len(self._history.trials), self._study.budget.trials
        if known < self._trials and not self._exhausted:
            return NO_ROOM
        return EXHAUSTED if asked is not None and known < asked else ""

    def _resumable(self) -> int | None:
        """Return the paused trial to resume, if there is one and the budget has room for it."""
        paused = self._schedule.promotable()
        return paused if paused is not None and self._has_room() else None

    def _completion(self) -> TrialResumed | None:
        """Return the fact that a trial continues to be a candidate, if the search ends otherwise.

        It waits for the trials that ASHA may still stop: they may complete by themselves.
        """
        trials = self._history.trials
        coming = all(trials[number].to_the_end for number in self._history.under_way)
        if self._study.scheduler.kind != "asha" or not coming or not self._has_room():
            return None
        numbers = self._candidates.to_complete(trials.values())
        if not numbers:
            return None
        reason = "a candidate for `tuner confirm`"
        return TrialResumed(time=now(), number=numbers[0], reason=reason, to_the_end=True)

    def _may_create(self) -> bool:
        if self._exhausted or len(self._history.trials) >= self._trials:
            return False
        return self._has_room()

    def _has_room(self) -> bool:
        if not self._limits.given:
            return True
        under_way = [self._history.trials[number] for number in self._history.under_way]
        return self._limits.room(self._ledger(), under_way)

    def _ledger(self) -> Ledger:
        return Digest.at(self._history, now()).ledger
