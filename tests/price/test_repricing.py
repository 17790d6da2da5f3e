"""A run re-priced: equal to a run that had those terms, labelled, beside its own figures, and nothing overwritten."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.price import command
from harness.errors import InputError
from harness.price.bridge.ratio import revenue_over_cost
from harness.price.bridge.seller import day_business, revenue_ledger
from harness.price.case import read_case
from harness.price.day.demand import epoch_of
from harness.price.decide.levers import dearer, levers, tornado
from harness.price.decide.repricing import Terms, altered
from harness.price.decide.sensitivity import ranges_of
from harness.price.economics import economics_of, price, write_economics
from harness.providers import Endpoint, PriceWindow, Rates
from harness.theory import Shape, bound_at
from tests.cards import H100, LLAMA_70B, deployment, price_card
from tests.price.records import record
from tests.price.run_folder import result, write_folder
from tests.price.test_ratio import DAY

CARD = price_card("card", 0.1, 1.0, 10.0)
OTHER = price_card("other", 0.05, 0.5, 5.0)
OWN = deployment(LLAMA_70B, H100, 4, "fp8", usd_per_gpu_hour=2.5, price_as_of="2026-11", utilisation=0.4,
                 usd_per_gpu_hour_low=1.5, usd_per_gpu_hour_high=4.0)  # fmt: skip


def folder_of(tmp_path, card=CARD, own=OWN):
    target = Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", price_card=card, deployment=own)
    return write_folder(tmp_path, target, [record(number) for number in range(8)])


def again(folder, **terms):
    return economics_of(altered(read_case(folder), Terms(**terms)))


def test_the_price_of_an_hour_and_the_card_by_hand(tmp_path):
    folder = folder_of(tmp_path)
    own, dear = price(folder), again(folder, usd_per_gpu_hour=5.0)
    assert dear.owner.usd_per_1k_useful == pytest.approx(2 * own.owner.usd_per_1k_useful)
    assert 1 + dear.yield_ratio == pytest.approx((1 + own.yield_ratio) / 2)
    assert dear.owner.basis == "re-priced, not measured"
    half = again(folder, card=OTHER)
    assert half.buyer.usd_per_1k_useful == pytest.approx(own.buyer.usd_per_1k_useful / 2)
    assert half.buyer.price_card == "other"
    used = again(folder, utilisation=0.8)
    assert 1 + used.day.yield_ratio == pytest.approx((1 + own.day.yield_ratio) * 2)


def test_no_terms_change_nothing(tmp_path):
    folder = folder_of(tmp_path)
    assert again(folder) == price(folder)


def test_another_day_keeps_the_time_of_day(tmp_path):
    cheap = Rates(usd_per_mtok_input=0.5, usd_per_mtok_input_cached=0.05, usd_per_mtok_output=5.0)
    weekend = PriceWindow(name="weekend", rates=cheap, spans=(("01:00", "04:00"),), weekdays=(5, 6))
    folder = folder_of(tmp_path, price_card("c", 0.1, 1.0, 10.0, windows=(weekend,)))
    own, saturday = price(folder), again(folder, as_of_s=epoch_of("2026-11-21"))
    assert saturday.buyer.price_label == "list/weekend"
    assert saturday.buyer.usd_per_1k_useful == pytest.approx(own.buyer.usd_per_1k_useful / 2)
    noon = again(folder, as_of_s=epoch_of("2026-11-21T12:00:00Z"), whole_days=False)
    assert noon.buyer.price_label == "list"


def test_cache_hits_act_on_the_bill_and_on_the_rate(tmp_path):
    own = replace(OWN, utilisation=None)
    target = Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", price_card=CARD, deployment=own)
    long = replace(result().mix, isl_tokens=8000.0, osl_tokens=10.0, cached_share=0.0)
    records = [record(n, input_tokens=8000, cached_tokens=0, output_tokens=10, reasoning_tokens=0) for n in range(8)]
    folder = write_folder(tmp_path, target, records, result(mix=long))
    cold, warm = price(folder), again(folder, cached_share=0.5)
    each = (4000 * 0.1 + 4000 * 1.0 + 10 * 10.0) / 1e6
    assert warm.buyer.usd_per_1k_useful == pytest.approx(8 * each / 8 * 1000)
    rates = [bound_at(own, Shape(isl_tokens=8000.0, osl_tokens=10.0, cached_share=share), 20.0).output_tokens_per_s
             for share in (0.0, 0.5)]  # fmt: skip
    faster = rates[1] / rates[0]
    assert faster > 1.5  # most of this load is prefill
    assert warm.owner.usd_per_mtok_output_allin == pytest.approx(cold.owner.usd_per_mtok_output_allin / faster)
    assert warm.owner.usd_per_1k_useful == pytest.approx(cold.owner.usd_per_1k_useful / faster)
    bill = each / ((8000 * 1.0 + 10 * 10.0) / 1e6)
    assert 1 + warm.yield_ratio == pytest.approx((1 + cold.yield_ratio) * faster * bill)
    assert warm.bound_fraction == pytest.approx(cold.bound_fraction)


def test_what_the_run_lacks_is_told(tmp_path):
    folder = folder_of(tmp_path, card=None, own=None)
    with pytest.raises(InputError) as told:
        again(folder, usd_per_gpu_hour=2.0, utilisation=0.5, as_of_s=0.0)
    assert all(word in str(told.value) for word in ("--gpu-hour", "--utilisation", "--as-of"))


# -- levers and tornado -------------------------------------------------------------------------------------------


@given(st.floats(0.05, 1), st.floats(0.05, 1), st.floats(-0.9, 20))
def test_every_lever_reaches_the_yield_or_says_why_not(efficiency, use, wanted):
    business = replace(DAY, efficiency=efficiency, utilisation=use)
    engine, day, hour, card = levers(business, wanted)
    moves = [
        (engine, lambda to: replace(business, efficiency=to)),
        (day, lambda to: replace(business, utilisation=to)),
        (hour, lambda to: replace(business, usd_per_gpu_hour=to)),
        (card, lambda to: dearer(business, to / card.now)),
    ]
    for lever, moved in moves:
        if lever.to is None:
            assert lever.why.startswith("cannot")
            assert revenue_over_cost(moved(1.0)) - 1 < wanted
        else:
            assert revenue_over_cost(moved(lever.to)) - 1 == pytest.approx(wanted, abs=1e-9, rel=1e-9)
    assert hour.to is not None and card.to is not None


def test_the_tornado_has_its_widest_bar_first(tmp_path):
    case = read_case(folder_of(tmp_path))
    ledger, _ = revenue_ledger(case)
    bars = tornado(ranges_of(case, ledger))
    assert len(bars) == 4 and [bar.width for bar in bars] == sorted((bar.width for bar in bars), reverse=True)
    hour = next(bar for bar in bars if bar.name == "$/GPU-h")
    now = revenue_over_cost(day_business(case, ledger))
    assert (hour.low, hour.kind) == ("$1.50", "declared")
    assert 1 + hour.yield_low == pytest.approx(now * 2.5 / 1.5) and 1 + hour.yield_high == pytest.approx(now * 2.5 / 4)
    use = next(bar for bar in bars if bar.name.startswith("util"))
    assert (use.low, use.high, use.kind) == ("30%", "50%", "assumed")


# -- the command --------------------------------------------------------------------------------------------------


def called(folder, *options):
    return CliRunner().invoke(command, [str(folder), *options], env={"COLUMNS": "80", "NO_COLOR": "1"})


def test_the_command_prints_both_and_writes_nothing(tmp_path):
    folder = folder_of(tmp_path)
    write_economics(folder, price(folder))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = called(folder, "--gpu-hour", "1.3..4", "--cache-hit", "0.5", "--curve", "office-hours",
                  "--card", "groq-llama-3.3-70b", "--want-yield", "0.5", "--tornado")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    for words in ("re-priced, not measured", "(low..high)", "this run", "$1.3..4/GPU-h", "groq-llama-3.3-70b",
                  "To a yield of +50%", "ASSUMED", "economics.json is unchanged",
                  "curve office-hours (assumed)"):  # fmt: skip
        assert words in done.output
    assert max(map(len, done.output.splitlines())) <= 80


def test_the_command_prints_one_document(tmp_path):
    folder = folder_of(tmp_path)
    done = called(folder, "--gpu-hour", "1.25..2.5", "--want-yield", "1", "--json", "--out", str(tmp_path / "o.json"))
    document = json.loads(done.stdout)
    assert document == json.loads((tmp_path / "o.json").read_text())
    assert document["label"] == "re-priced, not measured"
    low, high = document["repriced"]
    assert low["owner"]["usd_per_gpu_hour"] == 1.25 and high["yield_ratio"] == document["own"]["yield_ratio"]
    assert [lever["name"] for lever in document["levers"]][0] == "engine, of theory"
    assert not (folder / "economics.json").exists()


def test_every_wrong_option_is_told_at_once(tmp_path):
    done = called(folder_of(tmp_path), "--gpu-hour", "4..1", "--card", "groq-llama", "--as-of", "soon",
                  "--curve", "ofice-hours")  # fmt: skip
    text = str(done.exception)
    assert isinstance(done.exception, InputError)
    assert all(word in text for word in ("--gpu-hour", "--card", "--as-of", "office-hours"))
