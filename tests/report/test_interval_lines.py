"""Sampling error stands beside the headline, or the line below says what a run would need for it."""

from dataclasses import replace

import pytest

from harness.measure.results import SampledInterval
from harness.price.economics import price, write_economics
from harness.providers import Endpoint
from harness.report import quantities as q
from harness.report.contents import read_run_contents
from harness.report.documents import run_page
from harness.report.terminal import closing_table
from tests.cards import H100, LLAMA_70B, deployment, price_card
from tests.price.records import record
from tests.price.run_folder import result, write_folder

OWN = replace(
    deployment(LLAMA_70B, H100, 4, "fp8", usd_per_gpu_hour=2.5, price_basis="rent", price_as_of="2026-11"),
    usd_per_gpu_hour_low=2.0,
    usd_per_gpu_hour_high=4.0,
)
USEFUL = SampledInterval(low=0.07, high=0.09, method="batch means, 20 blocks of 5 s", n=20)
SHORT = "needs a window of 60 s, 20 x the median E2E; it has 19 s"


def lines(tmp_path, measured, **declared) -> list[str]:
    entry = Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", **declared)
    folder = write_folder(tmp_path, entry, [record(i) for i in range(1, 9)], measured)
    write_economics(folder, price(folder))
    return [line.plain for line in closing_table(folder).lines]


def test_the_owners_headline_has_its_interval_and_the_basis_its_range(tmp_path):
    shown = lines(tmp_path, result(intervals={"useful_per_s": USEFUL}), deployment=OWN)
    assert any("[30.86, 39.68]  at this load" in line for line in shown)
    assert any("$2.50/GPU-h rent 2026-11 (2..4)" in line for line in shown)


def test_without_an_interval_the_line_below_says_what_it_needs(tmp_path):
    shown = lines(tmp_path, result(reasons={"intervals.useful_per_s": SHORT}), deployment=OWN)
    assert f"   no [low, high]: {SHORT}" in shown
    assert max(map(len, shown)) <= 80


def test_a_bought_result_says_when_and_from_where(tmp_path):
    shown = lines(tmp_path, result(), price_card=price_card("card", 0.1, 1.0, 10.0))
    assert any("Fri 2026-11-20 02:00-02:01 UTC from 1 place" in line for line in shown)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(3.58, 3.83, "[3.58, 3.83]"), (0.0018, 0.0021, "[0.0018, 0.0021]"), (1.2, None, "[at least $1.20]")],
)
def test_intervals_of_prices(low, high, text):
    assert q.usd_interval(low, high) == text


def test_the_providers_own_figure_stands_behind_our_bill(tmp_path):
    entry = Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", price_card=price_card("c", 0.1, 1.0, 10.0))
    folder = write_folder(tmp_path, entry, [record(i, usd_reported=0.005) for i in range(1, 9)], result())
    write_economics(folder, price(folder))
    text = "\n".join(line.plain for line in closing_table(folder).lines)
    assert "test bill $0.033 (provider says $0.040, +22% against ours)" in text


def test_the_page_shows_the_same_interval(tmp_path):
    entry = Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", deployment=OWN)
    folder = write_folder(tmp_path, entry, [record(1)], result(intervals={"useful_per_s": USEFUL}))
    write_economics(folder, price(folder))
    assert "[30.86, 39.68]" in run_page(read_run_contents(folder))
