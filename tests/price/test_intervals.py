"""Sampling error of money: the owner turns a rate's interval over, the buyer has Fieller's; ranges stay apart."""

from dataclasses import replace

import numpy as np
import pytest

from harness.errors import Outcome
from harness.measure.results import SampledInterval, Useful
from harness.measure.stats import fieller, pairs_of
from harness.price.economics import price
from harness.providers import Endpoint
from tests.cards import H100, LLAMA_70B, deployment, price_card
from tests.price.records import record
from tests.price.run_folder import result, write_folder

CARD = price_card("card", 0.1, 1.0, 10.0)
OWN = deployment(LLAMA_70B, H100, 4, "fp8", usd_per_gpu_hour=2.5, price_basis="rent", price_as_of="2026-11")
RATE = SampledInterval(low=900.0, high=1100.0, method="batch means, 20 blocks of 5 s", n=20)
USEFUL = SampledInterval(low=0.05, high=0.2, method="batch means, 20 blocks of 5 s", n=20)
MEASURED = result(intervals={"throughput.output_tokens_per_s": RATE, "useful_per_s": USEFUL})


def endpoint(**fields: object) -> Endpoint:
    return Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", **fields)


def priced(tmp_path, of, records, measured=MEASURED):
    return price(write_folder(tmp_path, of, records, measured))


def test_the_owners_cost_turns_the_rate_over(tmp_path):
    found = priced(tmp_path, endpoint(deployment=OWN), [record(1)])
    per_s = 4 * 2.5 / 3600
    per_mtok = found.intervals["owner.usd_per_mtok_output_allin"]
    assert (per_mtok.low, per_mtok.high) == pytest.approx((per_s / 1100 * 1e6, per_s / 900 * 1e6))
    assert per_mtok.low < found.owner.usd_per_mtok_output_allin < per_mtok.high
    useful = found.intervals["owner.usd_per_1k_useful"]
    assert (useful.low, useful.high, useful.n) == pytest.approx((per_s / 0.2 * 1e3, per_s / 0.05 * 1e3, 20))
    assert found.intervals["buyer.usd_per_1k_useful"] is None
    assert "price_card" in found.reasons["intervals.buyer.usd_per_1k_useful"]


def test_a_rate_that_may_be_zero_gives_only_a_lower_bound(tmp_path):
    measured = replace(MEASURED, intervals={"useful_per_s": replace(USEFUL, low=0.0)})
    found = priced(tmp_path, endpoint(deployment=OWN), [record(1)], measured)
    assert found.intervals["owner.usd_per_1k_useful"].high is None


def test_a_missing_rate_hands_its_reason_on(tmp_path):
    why = "needs a window of 60 s, 20 x the median E2E; it has 19 s"
    measured = replace(MEASURED, intervals={}, reasons={"intervals.useful_per_s": why})
    found = priced(tmp_path, endpoint(deployment=OWN), [record(1)], measured)
    assert found.reasons["intervals.owner.usd_per_1k_useful"] == why
    assert "measure the folder again" in found.reasons["intervals.owner.usd_per_mtok_output_allin"]


def test_the_buyers_cost_of_a_useful_answer_is_fiellers(tmp_path):
    made = [record(i, output_tokens=400 + i) for i in range(1, 31)]
    made += [record(i, outcome=Outcome.TRUNCATED, output_tokens=1000) for i in range(31, 41)]
    measured = replace(
        MEASURED,
        useful=Useful(total=40, count=30, share=0.75, share_low=0.6, share_high=0.86, graded=0, right=0, why_not={}),
    )
    found = priced(tmp_path, endpoint(price_card=CARD), made, measured)
    bills = np.array([(20 * 0.1 + 80 + one.output_tokens * 10) / 1e6 for one in made])
    by_hand = fieller(pairs_of(bills, np.arange(40) < 30))
    interval = found.intervals["buyer.usd_per_1k_useful"]
    assert (interval.low, interval.high) == pytest.approx((by_hand.low * 1e3, by_hand.high * 1e3))
    assert interval.low < found.buyer.usd_per_1k_useful < interval.high
    assert (interval.method, interval.n) == ("Fieller", 40)
    assert found.buyer.usd_per_1k_right is None and found.reasons["buyer.usd_per_1k_right"] == "no answer had a checker"


def test_none_useful_has_a_lower_bound_of_n_c_over_3(tmp_path):
    made = [record(i, outcome=Outcome.TRUNCATED) for i in range(1, 21)]
    found = priced(tmp_path, endpoint(price_card=CARD), made)
    interval = found.intervals["buyer.usd_per_1k_useful"]
    each = (20 * 0.1 + 80 + 4000) / 1e6
    assert interval.low == pytest.approx(20 * each / 3 * 1000)
    assert (interval.high, interval.method) == (None, "rule of three")


def test_a_declared_range_is_kept_apart_from_sampling_error(tmp_path):
    ranged = replace(OWN, usd_per_gpu_hour_low=2.0, usd_per_gpu_hour_high=4.0)
    found = priced(tmp_path, endpoint(deployment=ranged, price_card=CARD), [record(i) for i in range(1, 9)])
    allin = found.owner.usd_per_mtok_output_allin
    span = found.ranges["owner.usd_per_mtok_output_allin"]
    assert (span.low, span.high) == pytest.approx((allin * 0.8, allin * 1.6))
    earned = found.ranges["yield_ratio"]
    assert (1 + earned.low, 1 + earned.high) == pytest.approx(
        ((1 + found.yield_ratio) / 1.6, (1 + found.yield_ratio) / 0.8)
    )
    sampled = found.intervals["owner.usd_per_mtok_output_allin"]
    assert (sampled.low, sampled.high) != (span.low, span.high)


def test_a_bought_result_names_its_hours_and_its_place(tmp_path):
    found = priced(tmp_path, endpoint(price_card=CARD), [record(i) for i in range(1, 4)])
    assert found.buyer.measured_at == "Fri 2026-11-20 02:00-02:01 UTC"
    assert found.buyer.places == 1
