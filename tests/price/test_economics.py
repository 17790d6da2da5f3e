"""economics.json of hand-made runs equals a calculation by hand; what is not declared is None with a reason."""

import json
import math
from dataclasses import fields, is_dataclass, replace

import pytest
from click.testing import CliRunner

from harness.cli.price import command
from harness.errors import InputError, Outcome
from harness.measure.results import Load, Mix, Throughput, Useful
from harness.price.economics import price, read_economics, write_economics
from harness.providers import Deployment, Endpoint, PriceWindow, Rates, Tco
from harness.theory import Shape, best_bound, bound_at
from tests.cards import DEEPSEEK_V3, H100, LLAMA_70B, deployment, price_card
from tests.price.records import record, uncounted
from tests.price.run_folder import result, write_folder

CARD = price_card("card", 0.1, 1.0, 10.0)
OTHER = price_card("other", None, 0.5, 2.0)
OWN: Deployment = deployment(
    LLAMA_70B, H100, 4, "fp8", usd_per_gpu_hour=2.5, price_basis="rent", price_as_of="2026-11", utilisation=0.4
)
EACH = (20 * 0.1 + 80 * 1.0 + 400 * 10.0) / 1e6  # one request of records.record() on CARD
FLOPS, BANDWIDTH = 1979e12, 3.35e12

RECORDS = [
    record(0, stage="warmup"),
    *(record(number) for number in range(1, 9)),
    record(9, outcome=Outcome.TRUNCATED),  # delivered and billed, but of no use
    uncounted(10, outcome=Outcome.HTTP_ERROR, status=500, deltas=0),
    uncounted(11, outcome=Outcome.CUT, deltas=200),
    uncounted(12, outcome=Outcome.CENSORED, deltas=100),
    record(13, stage="drain"),
]


def endpoint(**fields_: object) -> Endpoint:
    return Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", **fields_)


def run(tmp_path, of: Endpoint, records=RECORDS, measured=None, **scenario):
    return price(write_folder(tmp_path, of, records, measured, **scenario))


# -- the hand calculation -----------------------------------------------------------------------------------------


@pytest.fixture
def seller(tmp_path):
    return run(tmp_path, endpoint(price_card=CARD, deployment=OWN, compare_with=(OTHER,)))


def test_the_test_bill_by_hand(seller):
    bill = seller.test_bill
    cut, censored = (100 + 200 * 10) / 1e6, (100 + 100 * 10) / 1e6  # largest prompt, 1 token a delta
    assert bill.basis == "price_card"
    assert bill.usd_known == pytest.approx(11 * EACH, rel=1e-6)
    assert bill.usd_unknown_max == pytest.approx(cut + censored, rel=1e-6)
    assert bill.spend == pytest.approx(
        {"useful": 8 * EACH, "not_useful": EACH, "failed": cut, "cut_off": censored, "warm_up": EACH, "drain": EACH}
    )
    assert sum(bill.spend.values()) == pytest.approx(bill.usd_known + bill.usd_unknown_max)


def test_the_buyers_unit_cost_by_hand(seller):
    buyer = seller.buyer
    assert buyer.usd_per_mtok_input == pytest.approx((20 * 0.1 + 80 * 1.0) / 100)
    assert buyer.usd_per_mtok_output == pytest.approx(10.0)
    assert buyer.usd_per_mtok_blended == pytest.approx(EACH / 500 * 1e6)
    assert buyer.usd_per_mtok_blend_3to1 == pytest.approx((3 * 1.0 + 10.0) / 4)
    assert buyer.usd_per_1k_useful == pytest.approx((9 * EACH + 2100 / 1e6) / 8 * 1000)
    assert (buyer.price_card, buyer.price_date, buyer.price_label) == ("card", "2026-11-01", "list")


def test_the_owners_unit_cost_by_hand(seller):
    owner = seller.owner
    per_second = 4 * 2.5 / 3600
    assert (owner.usd_per_gpu_hour, owner.basis, owner.as_of) == (2.5, "rent", "2026-11")
    assert owner.usd_per_mtok_output_allin == pytest.approx(per_second / 1000 * 1e6)
    assert owner.usd_per_mtok_total == pytest.approx(per_second / 1250 * 1e6)
    assert owner.usd_per_1k_useful == pytest.approx(per_second * 100 / 8 * 1000)
    assert owner.users_per_gpu == 24 / 4
    output = per_second / 1000 * 1e6 * 400 / (80 / 4 + 400)
    assert owner.usd_per_mtok_output_split == pytest.approx(output)
    assert owner.usd_per_mtok_input_computed_split == pytest.approx(output / 4)
    assert owner.usd_per_mtok_input_cached_split == 0
    assert "cache hits weigh 0" in owner.split_rule


def revenue_per_s() -> float:
    """9 counted requests are billed, 200 more tokens were delivered: per delivered token, at 1,000 tokens/s."""
    return 1000 * 9 * EACH / (9 * 400 + 200)


def test_the_yield_by_hand(seller):
    ratio = revenue_per_s() / (4 * 2.5 / 3600)
    assert seller.yield_basis == "seller"
    assert seller.yield_ratio == pytest.approx(ratio - 1)
    assert seller.gross_margin == pytest.approx(1 - 1 / ratio)
    assert seller.break_even_utilisation == pytest.approx(1 / ratio)
    assert seller.owner.revenue_per_gpu_hour == pytest.approx(ratio * 2.5)
    assert seller.day.yield_ratio == pytest.approx(ratio * 0.4 - 1)
    assert seller.day.usd_per_1k_useful == pytest.approx(seller.owner.usd_per_1k_useful / 0.4)
    assert (seller.day.utilisation, seller.day.kind) == (0.4, "declared")


def test_the_bound_by_hand(seller):
    here = seller.bound.at_this_load
    active = 69.50e9  # weights of the model less its input embedding, 1 byte each
    kv = 163_840 * 2
    seconds = (active + kv * (20 * 300 + 20 / 400 * 100)) / (4 * BANDWIDTH)
    assert here.limited_by == "memory" and here.batch == 20
    assert here.output_tokens_per_s == pytest.approx(20 / seconds, rel=1e-3)
    assert here.output_tokens_per_s_per_user == pytest.approx(1 / seconds, rel=1e-3)
    assert here.usd_per_mtok_output_allin == pytest.approx(4 * 2.5 / 3600 / (20 / seconds) * 1e6, rel=1e-3)
    assert seller.bound_fraction == pytest.approx(1000 * seconds / 20, rel=1e-3)
    assert here.ttft_s == pytest.approx(max(active, 80 * 2 * active / FLOPS * BANDWIDTH) / (4 * BANDWIDTH), rel=1e-2)


def test_the_theoretical_figures_are_those_of_the_best_load(seller):
    shape = Shape(isl_tokens=100, osl_tokens=400, cached_share=0.2)
    best = best_bound(OWN, shape)
    assert best is not None
    allin = 4 * 2.5 / 3600 / best.output_tokens_per_s * 1e6
    assert seller.bound.at_best_load.batch == best.batch
    assert seller.theoretical.usd_per_mtok_output_allin == pytest.approx(allin)
    earned = best.output_tokens_per_s * EACH / 400 / (4 * 2.5 / 3600)
    assert seller.theoretical.yield_ratio == pytest.approx(earned - 1)


def test_a_tpot_limit_lowers_the_best_load(tmp_path):
    found = run(tmp_path, endpoint(deployment=OWN), slos={"tpot_s": 0.006})
    limited = best_bound(OWN, Shape(isl_tokens=100, osl_tokens=400, cached_share=0.2), 0.006)
    assert limited is not None
    assert found.bound.at_best_load.limited_by == "memory + SLO"
    assert found.bound.at_best_load.batch == limited.batch


def test_the_bridge_leads_from_theory_to_the_day(seller):
    factors = {factor.factor: factor for factor in seller.waterfall}
    assert set(factors) == {"load and SLO", "engine efficiency", "failures", "utilisation of a day"}
    assert seller.waterfall[0].rc_before - 1 == pytest.approx(seller.theoretical.yield_ratio)
    assert seller.waterfall[-1].rc_after - 1 == pytest.approx(seller.day.yield_ratio)
    assert math.prod(factor.ratio for factor in seller.waterfall) == pytest.approx(
        (1 + seller.day.yield_ratio) / (1 + seller.theoretical.yield_ratio)
    )
    assert factors["engine efficiency"].ratio == pytest.approx(seller.bound_fraction)
    assert factors["utilisation of a day"].ratio == pytest.approx(0.4)
    assert factors["failures"].ratio == pytest.approx(3600 / 3800)
    kinds = {name: factor.kind for name, factor in factors.items()}
    assert kinds.pop("utilisation of a day") == "declared" and set(kinds.values()) == {"measured"}


def test_comparisons_by_hand(seller):
    (other,) = seller.comparisons
    each = (100 * 0.5 + 400 * 2.0) / 1e6
    cut = (100 * 0.5 + 200 * 2.0) / 1e6
    ratio = 1000 * 9 * each / 3800 / (4 * 2.5 / 3600)
    assert other.usd_per_1k_useful == pytest.approx((9 * each + cut) / 8 * 1000)
    assert other.yield_ratio == pytest.approx(ratio - 1)
    assert other.break_even_utilisation == pytest.approx(1 / ratio)


# -- sides and nulls ----------------------------------------------------------------------------------------------


def missing(value, path=""):
    """Dotted keys of all None, independent of the code under test."""
    if value is None:
        return [path]
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        return [key for item in value for key in missing(item, f"{path}.{getattr(item, 'price_card', '')}")]
    if not is_dataclass(value):
        return []
    named = [(f"{path}.{field.name}".lstrip("."), getattr(value, field.name)) for field in fields(value)]
    return [key for name, inner in named if name not in ("reasons", "notes") for key in missing(inner, name)]


SIDES = {
    "seller": (endpoint(price_card=CARD, deployment=OWN), "seller"),
    "sells at another card": (endpoint(sell_at=OTHER, deployment=OWN), "seller"),
    "bought": (endpoint(price_card=CARD), None),
    "avoided": (endpoint(deployment=OWN, compare_with=(CARD,)), "avoided"),
    "own, nothing to compare": (endpoint(deployment=OWN), None),
    "neither": (endpoint(), None),
    "no price of an hour": (endpoint(price_card=CARD, deployment=replace(OWN, usd_per_gpu_hour=None)), None),
    "does not fit": (endpoint(price_card=CARD, deployment=replace(OWN, model=DEEPSEEK_V3)), "seller"),
    "no date, no day": (endpoint(deployment=replace(OWN, price_as_of=None, utilisation=None)), None),
}
NOTHING = result(
    window_s=None,
    throughput=Throughput(),
    mix=Mix(),
    useful=Useful(total=0, count=0, share=None, share_low=None, share_high=None, graded=0, right=0, why_not={}),
)
SAMPLES = {
    "full": (RECORDS, None),
    "nothing at all": ([], NOTHING),
    "only failures": ([uncounted(1, outcome=Outcome.HTTP_ERROR, deltas=0)], NOTHING),
    "no usage": (
        [uncounted(1)],
        result(mix=Mix(mean_in_flight=1.0, mean_decoding=1.0), throughput=Throughput(requests_per_s=1.0)),
    ),
    "cache not told": (RECORDS, result(mix=replace(result().mix, cached_share=None))),
    "nothing useful": (RECORDS, result(useful=replace(result().useful, count=0, share=0.0))),
}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("sample", SAMPLES)
def test_every_missing_figure_has_its_reason(tmp_path, side, sample):
    of, basis = SIDES[side]
    records, measured = SAMPLES[sample]
    found = run(tmp_path, of, records, measured)
    for key in missing(found):
        assert any(key == name or key.startswith(f"{name}.") for name in found.reasons), key
    assert all(found.reasons.values())
    if sample == "full":
        assert found.yield_basis == basis
        assert (found.yield_ratio is None) is (basis is None)
    write_economics(tmp_path, found)
    assert read_economics(tmp_path) == found


def test_no_deployment_invents_nothing(tmp_path):
    found = run(tmp_path, endpoint(price_card=CARD))
    assert set(missing(found.owner)) == {field.name for field in fields(found.owner)}
    assert (found.bound.at_this_load, found.bound.at_best_load, found.bound_fraction) == (None, None, None)
    assert "add `deployment:`" in found.reasons["yield_ratio"]
    assert found.buyer.usd_per_1k_useful is not None
    assert found.theoretical.usd_per_mtok_output_allin == pytest.approx((100 * 1.0 + 400 * 10.0) / 400)  # list, no hits


def test_revenue_is_what_it_sells_at_and_the_bill_is_what_it_pays(tmp_path):
    found = run(tmp_path, endpoint(price_card=CARD, sell_at=OTHER, deployment=OWN))
    assert found.buyer.price_card == "card"
    each = (100 * 0.5 + 400 * 2.0) / 1e6
    assert found.yield_ratio == pytest.approx(1000 * 9 * each / 3800 / (4 * 2.5 / 3600) - 1)


def test_a_test_on_own_gpus_costs_their_time(tmp_path):
    bill = run(tmp_path, endpoint(deployment=OWN)).test_bill
    per_second = 4 * 2.5 / 3600
    assert bill.basis == "gpu_time" and bill.usd_unknown_max == 0
    assert bill.usd_known == pytest.approx(115 * per_second) == pytest.approx(sum(bill.spend.values()))
    assert (bill.spend["warm_up"], bill.spend["drain"]) == pytest.approx((10 * per_second, 5 * per_second))
    work = {"useful": 8 * 420, "not_useful": 420, "failed": 100 / 4 + 200, "cut_off": 100 / 4 + 100}
    share = work["useful"] / sum(work.values())
    assert bill.spend["useful"] == pytest.approx(100 * per_second * share)


def test_no_useful_answer_gives_a_lower_bound_not_infinity(tmp_path):
    found = run(
        tmp_path, endpoint(price_card=CARD), measured=result(useful=replace(result().useful, count=0, share=0.0))
    )
    assert found.buyer.usd_per_1k_useful is None
    least = (9 * EACH + 2100 / 1e6) / 3 * 1000
    assert f"at least ${least:.4g}" in found.reasons["buyer.usd_per_1k_useful"]


def test_a_demand_limited_run_withholds_the_headline_and_keeps_the_figure(tmp_path):
    measured = result(load=Load(state="demand_limited"))
    found = run(tmp_path, endpoint(price_card=CARD, deployment=OWN), measured=measured)
    assert found.yield_ratio is not None
    assert any(note.startswith("headline withheld") for note in found.notes)
    assert "load (demand-limited)" in {factor.factor for factor in found.waterfall}


def test_faster_than_physics_is_told(tmp_path):
    fast = replace(result().throughput, output_tokens_per_s=50_000.0)
    found = run(tmp_path, endpoint(deployment=OWN), measured=result(throughput=fast))
    assert found.bound_fraction > 1 and any("of the bound" in note for note in found.notes)


def test_prices_follow_the_clock_of_the_run(tmp_path):
    peak = PriceWindow(
        name="peak", rates=Rates(usd_per_mtok_input=2.0, usd_per_mtok_output=20.0), spans=(("02:00", "02:01"),)
    )
    card = price_card("windows", None, 1.0, 10.0, windows=(peak,))
    records = [record(10), record(70)]  # 02:00:10 and 02:01:10
    found = run(tmp_path, endpoint(price_card=card, deployment=OWN), records)
    assert found.test_bill.usd_known == pytest.approx((2 + 1) * 4100 / 1e6)
    assert found.buyer.usd_per_mtok_output == pytest.approx(15.0)
    assert found.buyer.price_label == "list/peak, list"
    failures = next(factor for factor in found.waterfall if factor.factor == "failures")
    assert failures.ratio == pytest.approx(1)


def test_the_providers_own_bill_stands_beside_ours(tmp_path):
    found = run(tmp_path, endpoint(price_card=CARD), [record(1, usd_reported=0.01), record(2, usd_reported=0.02)])
    assert found.test_bill.usd_reported == pytest.approx(0.03)


def test_unverified_cards_and_estimates_are_told(tmp_path):
    card = price_card("rumour", 0.1, 1.0, 10.0, status="unverified")
    notes = run(tmp_path, endpoint(price_card=card)).notes
    assert "price card rumour is unverified" in notes
    assert any("2 requests without usage" in note for note in notes)


def test_more_use_of_the_day_never_lowers_its_yield(tmp_path):
    yields = []
    for use in (0.1, 0.5, 1.0):
        (tmp_path / str(use)).mkdir()
        found = run(tmp_path / str(use), endpoint(price_card=CARD, deployment=replace(OWN, utilisation=use)))
        yields.append(found.day.yield_ratio)
    assert yields == sorted(yields) and yields[-1] == pytest.approx(found.yield_ratio)


def test_a_folder_that_was_not_measured_is_bad_input(tmp_path):
    write_folder(tmp_path, endpoint(), RECORDS)
    (tmp_path / "run.json").unlink()
    with pytest.raises(InputError, match="trueyield measure"):
        price(tmp_path)
    with pytest.raises(InputError, match="trueyield price"):
        read_economics(tmp_path)
    (tmp_path / "economics.json").write_text('{"run_id": 3}')
    with pytest.raises(InputError, match="schema 1"):
        read_economics(tmp_path)


def test_a_manifest_with_a_bad_endpoint_is_bad_input(tmp_path):
    write_folder(tmp_path, endpoint(), RECORDS)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["endpoint"] = {"name": "e"}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="base_url"):
        price(tmp_path)


# -- the command --------------------------------------------------------------------------------------------------


def test_the_command_writes_and_prints(tmp_path):
    write_folder(tmp_path, endpoint(price_card=CARD, deployment=OWN), RECORDS)
    shown = CliRunner().invoke(command, [str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert "1,000 useful answers" in shown.output and "comparisons" in shown.output
    printed = CliRunner().invoke(command, [str(tmp_path), "--json"])
    assert json.loads(printed.stdout) == json.loads((tmp_path / "economics.json").read_text())


def test_bound_at_is_used_with_the_batch_that_ran(seller):
    shape = Shape(isl_tokens=100, osl_tokens=400, cached_share=0.2)
    assert seller.bound.at_this_load.output_tokens_per_s == bound_at(OWN, shape, 20).output_tokens_per_s


# -- an owned machine ---------------------------------------------------------------------------------------------

TCO = Tco(capex_usd=40_000, lifetime_years=4, interest_per_year=0.10, power_kw=1.3, pue=1.25, usd_per_kwh=0.08)


def test_the_sides_move_with_the_price_of_an_hour(tmp_path):
    own = replace(OWN, usd_per_gpu_hour=None, tco=TCO)
    owner = run(tmp_path, endpoint(deployment=own)).owner
    cash, full = owner.sides
    assert (cash.side, full.side) == ("cash", "full")
    assert full.usd_per_mtok_output_allin == pytest.approx(owner.usd_per_mtok_output_allin)
    assert cash.usd_per_mtok_output_allin == pytest.approx(4 * 0.13 / 3600 / 1000 * 1e6)
    assert cash.usd_per_1k_useful == pytest.approx(
        owner.usd_per_1k_useful * cash.usd_per_gpu_hour / full.usd_per_gpu_hour
    )
    assert owner.energy.boundary == "wall" and owner.energy.watts == 5_200


def test_the_declared_rule_splits_and_re_sums(tmp_path):
    for own, rule in (
        (replace(OWN, prefill_count=1), "node time: 25.0%"),
        (replace(OWN, split="price"), "by price: in proportion to the rates of card"),
    ):
        owner = run(tmp_path, endpoint(deployment=own, price_card=CARD)).owner
        assert owner.split_rule.startswith(rule)
        again = (
            80 * owner.usd_per_mtok_input_computed_split
            + 20 * owner.usd_per_mtok_input_cached_split
            + 400 * owner.usd_per_mtok_output_split
        )
        assert again == pytest.approx(400 * owner.usd_per_mtok_output_allin)


def test_a_run_too_short_for_its_answers_has_no_cost_per_answer(tmp_path):
    """Throughput stands and with it what an hour earns; whatever hangs on lengths is None and says why."""
    why = "the window of 60.0 s is shorter than 3 x the median E2E of 42.3 s: long answers are under-represented"
    short = result(length_biased=True, reasons={"useful.share": why})
    of = endpoint(price_card=CARD, deployment=OWN, compare_with=(OTHER,))
    told, full = run(tmp_path, of, measured=short), run(tmp_path, of)
    assert told.owner.usd_per_mtok_output_allin == full.owner.usd_per_mtok_output_allin is not None
    assert told.yield_ratio == full.yield_ratio is not None
    missing = {
        "buyer.usd_per_1k_useful": told.buyer.usd_per_1k_useful,
        "buyer.usd_per_1k_right": told.buyer.usd_per_1k_right,
        "owner.usd_per_1k_useful": told.owner.usd_per_1k_useful,
        "owner.usd_per_mtok_total": told.owner.usd_per_mtok_total,
        "comparisons.other.usd_per_1k_useful": told.comparisons[0].usd_per_1k_useful,
        "day.usd_per_1k_useful": told.day.usd_per_1k_useful,
        "buyer_waterfall": told.buyer_waterfall,
        "bound": told.bound.at_this_load,
        "intervals.buyer.usd_per_1k_useful": told.intervals["buyer.usd_per_1k_useful"],
        "intervals.owner.usd_per_1k_useful": told.intervals["owner.usd_per_1k_useful"],
    }
    assert {key: value for key, value in missing.items() if value is not None} == {}
    assert {key for key in missing if told.reasons.get(key) != why} == set()
