"""Live figures from records made by hand."""

from harness.errors import Outcome
from harness.providers import PriceCard, PricePeriod, Rates
from harness.records import StreamRecord, Wall
from harness.report.tally import Tally

S = 1_000_000_000
WALL = Wall(offset_ns=1_800_000_000 * S, error_ns=1, taken_at="")
CARD = PriceCard(
    name="c",
    provider="p",
    model="m",
    source="s",
    as_of="2026-01-01",
    periods=(PricePeriod(rates=Rates(usd_per_mtok_input=1.0, usd_per_mtok_output=2.0)),),
)


def record(number: int, outcome: Outcome = Outcome.OK, tokens: int | None = 100) -> StreamRecord:
    return StreamRecord(
        run_id="r",
        request_id=f"r-w0-{number}",
        worker="w0",
        seq=number,
        endpoint="e",
        model="m",
        scenario="s",
        stage="measure",
        started_ns=number * S,
        sent_first_ns=number * S,
        sent_last_ns=number * S,
        first_reasoning_ns=number * S + S // 4,
        first_answer_ns=number * S + S // 2,
        ended_ns=number * S + S,
        headers_ns=number * S + 1,
        status=200,
        outcome=outcome,
        input_tokens=None if tokens is None else 50,
        output_tokens=tokens,
        token_source=None if tokens is None else "usage",
    )


def test_figures_of_four_calls() -> None:
    tally = Tally(CARD)
    for number, outcome in enumerate((Outcome.OK, Outcome.OK, Outcome.CENSORED, Outcome.CUT)):
        tally.add(record(number, outcome), WALL, number * S)
    figures = tally.figures(4 * S)
    assert (figures.ok, figures.failed, figures.censored) == (2, 1, 1)
    assert figures.output_tokens == 400
    assert figures.output_tokens_per_s == 400 / 4
    assert figures.ttft_p50_s == 0.25
    assert figures.ttfat_p50_s == 0.5
    assert figures.usd is not None
    assert abs(figures.usd - 4 * (50 * 1 + 100 * 2) / 1e6) < 1e-12


def test_old_calls_leave_the_rate_and_stay_in_the_sums() -> None:
    tally = Tally(None)
    tally.add(record(0), WALL, 0)
    tally.add(record(60, tokens=30), WALL, 60 * S)
    figures = tally.figures(62 * S)
    assert figures.output_tokens == 130
    assert figures.output_tokens_per_s == 30 / 2
    assert figures.usd is None, "no card, no price: not 0"


def test_nothing_yet() -> None:
    figures = Tally(CARD).figures(5 * S)
    assert (figures.ok, figures.ttft_p50_s, figures.output_tokens_per_s) == (0, None, None)
