"""Case: a run folder goes in; everything that pricing needs comes out, read once.

Prices, deployment and model come from the manifest, not from today's providers.yaml: a run is priced as it was.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.errors import InputError, Mistake
from harness.measure.cut import as_measured
from harness.measure.folder import read_folder
from harness.measure.results import RunResult
from harness.measure.runs import grades_of, read_run, slos_of, use_of
from harness.measure.use import why_not
from harness.measure.window import clocks_of
from harness.measure.withheld import limits_moved, rates_moved
from harness.price.owned.tco import GpuHour, gpu_hour
from harness.price.spend.cost import Guess, moment_s
from harness.price.spend.ledger import Entry, Ledger, guess_from, keep_ledger
from harness.providers import Deployment, Endpoint
from harness.records import Manifest, StreamRecord, Wall
from harness.theory import Shape

#: Tokens to assume where neither the run nor its scenario tells any; the built-in prompts and caps stay below.
_UNTOLD_TOKENS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`own`: the card that this endpoint's callers pay; `seller`: the card of its revenue (they differ by sell_at)."""

    manifest: Manifest
    endpoint: Endpoint
    run: RunResult
    entries: tuple[Entry, ...]
    guess: Guess
    slos: dict[str, float]
    own: Ledger | None
    seller: Ledger | None
    compared: tuple[Ledger, ...]
    hour: GpuHour | None
    shape: Shape | None

    @property
    def deployment(self) -> Deployment | None:
        return self.endpoint.deployment

    @property
    def output_tokens_per_s(self) -> float | None:
        """The measured rate of the window; None where nothing was delivered, or where it was a ramp."""
        return self.run.throughput.output_tokens_per_s or None

    @property
    def usd_per_s(self) -> float | None:
        """Cost of the whole deployment, every second."""
        if self.hour is None or self.deployment is None:
            return None
        return self.hour.usd * self.deployment.count / 3600

    @property
    def measured_s(self) -> float | None:
        """Unix time at which the first request of the measure window was sent."""
        sent = [moment_s(entry.record, entry.wall) for entry in self.entries if entry.record.stage == "measure"]
        return min(sent, default=None)

    @property
    def window_usd(self) -> float | None:
        """Owner's cost of the measure window."""
        seconds = self.run.window_s
        return None if self.usd_per_s is None or seconds is None else self.usd_per_s * seconds


def read_case(folder: Path) -> Case:
    """Read and bill a measured run folder; InputError where a part of it is missing or malformed."""
    run = read_run(folder)
    book = as_measured(read_folder(folder), run)
    endpoint = _endpoint(book.manifest, folder)
    slos = slos_of(book.manifest.scenario, str(folder / "manifest.json"))
    guess = _guess(book.manifest, book.records)
    entries = _entries(folder, book.manifest, book.records, slos)
    return _billed(book.manifest, endpoint, run, entries, guess, slos)


def _billed(
    manifest: Manifest,
    endpoint: Endpoint,
    run: RunResult,
    entries: tuple[Entry, ...],
    guess: Guess,
    slos: dict[str, float],
) -> Case:
    seller_card = endpoint.sell_at or endpoint.price_card
    own_card = endpoint.price_card or endpoint.sell_at
    own = keep_ledger(own_card, entries, guess) if own_card else None
    return Case(
        manifest=manifest,
        endpoint=endpoint,
        run=run,
        entries=entries,
        guess=guess,
        slos=slos,
        own=own,
        seller=own if seller_card is own_card or seller_card is None else keep_ledger(seller_card, entries, guess),
        compared=tuple(keep_ledger(card, entries, guess) for card in endpoint.compare_with),
        hour=gpu_hour(endpoint.deployment) if endpoint.deployment else None,
        shape=_shape(run),
    )


def billed_again(case: Case, endpoint: Endpoint, entries: tuple[Entry, ...], run: RunResult) -> Case:
    """The same manifest with other terms: what was not measured but reckoned."""
    return _billed(case.manifest, endpoint, run, entries, case.guess, case.slos)


def _endpoint(manifest: Manifest, folder: Path) -> Endpoint:
    try:
        return msgspec.convert(manifest.endpoint, Endpoint)
    except msgspec.ValidationError as error:
        raise InputError(
            [Mistake(str(folder / "manifest.json"), "endpoint", str(error), "a resolved endpoint")]
        ) from None


def _entries(
    folder: Path, manifest: Manifest, records: list[StreamRecord], slos: dict[str, float]
) -> tuple[Entry, ...]:
    clocks = clocks_of(manifest, records)
    anchors = {worker: entry.wall for worker, entry in manifest.workers.items()}
    borrowed = Wall(offset_ns=clocks.default, error_ns=0, taken_at=manifest.created_at)
    grades = grades_of(folder)
    return tuple(
        Entry(
            record=record,
            use=use_of(record, grades.get(record.request_id), slos),
            wall=anchors.get(record.worker, borrowed),
            why_not=why_not(record, grades.get(record.request_id), slos),
            right=found.right if (found := grades.get(record.request_id)) else None,
        )
        for record in records
    )


def _guess(manifest: Manifest, records: list[StreamRecord]) -> Guess:
    workload = manifest.scenario.get("workload") or {}
    return guess_from(
        records, workload.get("isl_tokens") or _UNTOLD_TOKENS, workload.get("max_tokens") or _UNTOLD_TOKENS
    )


def no_rate_reason(run: RunResult, otherwise: str) -> str:
    """Why nothing in time can be told: the rate moved through the window, or `otherwise`."""
    return run.reasons.get("steady", otherwise) if rates_moved(run) else otherwise


def no_answers_reason(run: RunResult, *, owned: bool) -> str | None:
    """Why a useful answer has no price: too short for the answers, or it depends on when one looks. An owner pays for
    time, so that a moving rate is enough; a buyer pays for tokens, and only missed limits move the price."""
    if run.length_biased:
        return no_lengths_reason(run)
    moved = limits_moved(run) or (owned and rates_moved(run))
    return run.reasons.get("steady", "not steady") if moved else None


def no_lengths_reason(run: RunResult) -> str:
    """Why nothing per answer can be told of a run that was too short for its answers."""
    return run.reasons.get("useful.share") or "the run was too short for its answers: the long ones are missing"


def no_shape_reason(run: RunResult) -> str:
    """Why the mean request is not known."""
    return no_lengths_reason(run) if run.length_biased else "the mean request is unknown: no token counts"


def _shape(run: RunResult) -> Shape | None:
    """The mean request that the run really had; a cache that is not reported counts as none."""
    mix = run.mix
    if run.length_biased or not mix.isl_tokens or not mix.osl_tokens:
        return None
    return Shape(isl_tokens=mix.isl_tokens, osl_tokens=mix.osl_tokens, cached_share=mix.cached_share or 0.0)
