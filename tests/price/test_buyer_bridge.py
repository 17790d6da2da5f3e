"""The buyer's bridge reconciles to the cent with what 1,000 useful answers cost, whatever the run was like."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import Outcome
from harness.measure.results import Useful
from harness.price.bridge.buyer import Purchase, usd_per_1k
from harness.price.bridge.waterfall import Change, effects
from harness.price.economics import price, read_economics, write_economics
from harness.price.spend.cost import blend_3to1
from harness.providers import Endpoint, PriceWindow, Rates
from harness.report.documents import write_report
from harness.report.terminal import closing_table
from tests.cards import price_card
from tests.price.records import record, uncounted
from tests.price.run_folder import result, write_folder

CARD = price_card("card", 0.1, 1.0, 10.0)
#: the runs of `run_folder` begin on a Friday at 02:00 UTC
PEAK = price_card(
    "peak", 0.1, 1.0, 10.0,
    windows=(PriceWindow(name="peak", spans=(("01:00", "04:00"),), rates=Rates(
        usd_per_mtok_input_cached=0.2, usd_per_mtok_input=2.0, usd_per_mtok_output=20.0)),),
)  # fmt: skip
EACH = (20 * 0.1 + 80 * 1.0 + 400 * 10.0) / 1e6


def bought(tmp_path, card=CARD, records=(), useful=8, **scenario):
    records = [*(record(number) for number in range(useful)), *records]
    useful += sum(one.outcome is Outcome.OK for one in records[useful:] if one.request_id not in ("q24", "q30"))
    judged = Useful(total=len(records), count=useful, share=useful / len(records) if records else None, share_low=None,
                    share_high=None, graded=0, right=0, why_not={})  # fmt: skip
    target = Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", price_card=card)
    return price(write_folder(tmp_path, target, records, result(useful=judged), **scenario))


WASTE = [
    record(20, outcome=Outcome.CUT_IN_THOUGHT, first_answer_ns=None),
    record(21, outcome=Outcome.TRUNCATED),
    uncounted(22, outcome=Outcome.CUT, deltas=200),
    uncounted(23, outcome=Outcome.HTTP_ERROR, status=500, deltas=0),
    record(24, sent_last_ns=0, first_answer_ns=90_000_000_000, last_delta_ns=91_000_000_000),
]


def test_every_step_by_hand(tmp_path):
    economics = bought(tmp_path, PEAK, WASTE, slos={"ttfat_s": 60.0})
    found = economics.buyer_waterfall
    assert found.usd_per_1k_list_3to1 == pytest.approx(1000 * 200 * (3 * 1 + 10) / 4 / 1e6)  # 100 in, 100 of answer
    assert found.usd_per_1k_useful == pytest.approx(economics.buyer.usd_per_1k_useful, rel=1e-12)
    assert found.usd_per_1k_useful == pytest.approx((8 + 3) * 2 * EACH * 1000 / 8 + 2 * 2100 / 1e6 * 1000 / 8)
    assert found.usd_per_mtok_own_mix == pytest.approx((100 * 1.0 + 400 * 10.0) / 500)
    assert found.usd_per_mtok_useful == pytest.approx(found.usd_per_1k_useful / 1000 / 500 * 1e6)
    factors = {step.factor: step for step in found.steps}
    assert set(factors) == {
        "own mix", "thinking", "cache hits", "hour of the day", "failures, cut streams", "cut in thought, short",
        "SLO missed",
    }  # fmt: skip
    assert factors["hour of the day"].ratio == pytest.approx(2)
    assert "list/peak" in factors["hour of the day"].evidence
    assert factors["thinking"].usd > 0 > factors["cache hits"].usd
    assert "75% of useful output" in factors["thinking"].evidence and "20% of input" in factors["cache hits"].evidence
    assert "2 requests (1 cut)" in factors["failures, cut streams"].evidence
    steps = sum(step.usd for step in found.steps)
    assert found.usd_per_1k_list_3to1 + steps == pytest.approx(found.usd_per_1k_useful, abs=1e-9)
    assert found.steps[-1].usd_after == pytest.approx(found.usd_per_1k_useful)
    assert sum(step.share for step in found.steps) == pytest.approx(1)


def test_wrong_answers_are_paid_for(tmp_path):
    (tmp_path / "answers.jsonl").write_text(
        json.dumps({"request_id": "q30", "prompt_id": "arithmetic:1:1:6", "answer": "The answer is 1."}) + "\n"
    )
    found = bought(tmp_path, CARD, [record(30)]).buyer_waterfall
    factors = {step.factor: step for step in found.steps}
    assert factors["wrong answers"].ratio == pytest.approx(9 / 8)
    assert found.usd_per_1k_useful == pytest.approx(9 * EACH / 8 * 1000)
    assert "hour of the day" not in factors  # a card without windows has one price


def test_nothing_useful_has_no_bridge_but_a_reason(tmp_path):
    economics = bought(tmp_path, CARD, WASTE, useful=0)
    assert economics.buyer_waterfall is None and "none of 5 answers" in economics.reasons["buyer_waterfall"]
    free = bought(tmp_path, price_card("free", 0.0, 0.0, 0.0))
    assert free.buyer_waterfall is None and "asks nothing" in free.reasons["buyer_waterfall"]


def test_it_is_written_and_read_and_shown(tmp_path):
    economics = bought(tmp_path, PEAK, WASTE, slos={"ttfat_s": 60.0})
    write_economics(tmp_path, economics)
    assert read_economics(tmp_path).buyer_waterfall == economics.buyer_waterfall
    lines = [line.plain for line in closing_table(tmp_path).lines]
    begin = next(number for number, line in enumerate(lines) if "From list price to useful answer" in line)
    assert (
        "$0.650 -> " in lines[begin] and "thinking" in lines[begin + 1] and "75% of useful output" in lines[begin + 1]
    )
    page = write_report(tmp_path).read_text()
    assert 'data-chart="buyer_waterfall"' in page and "From the list price to a useful answer" in page
    assert "$0.650 at the list price of peak" in page
    assert all("$" in line for line in lines[begin : begin + 5]) and max(map(len, lines)) <= 80


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([Outcome.OK, Outcome.TRUNCATED, Outcome.CUT_IN_THOUGHT, Outcome.EMPTY, Outcome.CUT]),
            st.integers(1, 4000), st.integers(0, 100), st.integers(1, 4000), st.integers(0, 100),
        ),
        min_size=1, max_size=12,
    ),
    st.tuples(st.floats(0.01, 50), st.floats(0.01, 50), st.floats(0.01, 50)),
)  # fmt: skip
def test_it_always_reconciles(tmp_path_factory, requests, prices):
    made = [
        record(number + 1, outcome=outcome, input_tokens=given_, cached_tokens=given_ * hit // 100, output_tokens=out,
               reasoning_tokens=out * thought // 100, answer_tokens=out - out * thought // 100)
        for number, (outcome, given_, hit, out, thought) in enumerate(requests)
    ]  # fmt: skip
    economics = bought(tmp_path_factory.mktemp("r"), price_card("c", *prices), made, useful=1)
    found = economics.buyer_waterfall
    steps = found.usd_per_1k_list_3to1 + sum(step.usd for step in found.steps)
    assert steps == pytest.approx(economics.buyer.usd_per_1k_useful, rel=1e-9)
    assert found.usd_per_1k_useful == pytest.approx(economics.buyer.usd_per_1k_useful, rel=1e-9)
    product = math.prod(step.ratio for step in found.steps)
    assert found.usd_per_1k_list_3to1 * product == pytest.approx(found.usd_per_1k_useful, rel=1e-9)


_MOVES = [
    Change(factor="mix", kind="measured", evidence="", apply=lambda one: replace(one, own_mix=True)),
    Change(factor="thinking", kind="measured", evidence="", apply=lambda one: replace(one, thinking_tokens=300.0)),
    Change(factor="hits", kind="measured", evidence="", apply=lambda one: replace(one, cached_share=0.5)),
    Change(factor="waste", kind="measured", evidence="",
           apply=lambda one: replace(one, waste={**one.waste, "w": 0.1})),
]  # fmt: skip


@given(st.permutations(range(len(_MOVES))))
def test_the_order_of_the_factors_is_nothing(order):
    start = Purchase(input_tokens=100, answer_tokens=100, rates=CARD.periods[0].rates)
    assert usd_per_1k(start) == pytest.approx(200 * blend_3to1(CARD.periods[0].rates) / 1000)
    once = effects(start, _MOVES, lambda one: (usd_per_1k(one),))
    again = effects(start, [_MOVES[place] for place in order], lambda one: (usd_per_1k(one),))
    assert [again.of[order.index(place)][0] for place in range(len(_MOVES))] == pytest.approx([of[0] for of in once.of])
