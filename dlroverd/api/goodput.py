"""Where a job's time went, as clients are shown it."""

from dataclasses import asdict

from dlroverd.core.folds.ledgers import ledger_of
from dlroverd.core.records import JobRecord
from dlroverd.core.state import State
from dlroverd.model.ledger import Times
from dlroverd.model.view import GoodputView, TimesView


def goodput_view(state: State, job: JobRecord, now: float) -> GoodputView:
    """Give a job's goodput as of `now`, in whole microseconds, so that its parts add up."""
    ledger = ledger_of(state, job).as_of(now)
    placed_s = max(0.0, ledger.since - ledger.placed_at) if ledger.placed_at else 0.0
    known = ledger.steps_seen and placed_s > 0.0
    return GoodputView(
        goodput=min(1.0, ledger.time_us.productive / 1e6 / placed_s) if known else None,
        wall_s=sum(asdict(ledger.time_us).values()) / 1e6,
        placed_s=placed_s,
        times=_seconds(ledger.time_us),
        node_times=_seconds(ledger.node_time_us),
    )


def _seconds(times: Times) -> TimesView:
    seconds = {name: amount / 1e6 for name, amount in asdict(times).items()}
    return TimesView(**{**seconds, "checkpointing": seconds["checkpointing"] or None})
