"""The seller's yield of a bought API: a band over an assumed deployment, reckoned by hand, labelled, never gated."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.cli.price import command
from harness.errors import InputError
from harness.measure.results import Distribution
from harness.price.case import read_case
from harness.price.decide.assumed import HourSpan, assumed_yield, hour_span
from harness.price.economics import price
from harness.providers import Endpoint, GpuHour, PriceWindow, Rates
from harness.theory import Shape, best_bound
from harness.theory.priors import Prior
from tests.cards import DEEPSEEK_V3, H100, LLAMA_70B, deployment, price_card
from tests.price.records import record
from tests.price.run_folder import result, write_folder

PRIORS = {
    name: Prior(name=name, low=0.25, high=0.5, of=of, source="a test", as_of="2026-11")
    for name, of in (("decode-small-batch", "bound"), ("decode-large-batch", "bound"), ("decode-wide-ep", "bound"),
                     ("prefill-dense", "linear_math"), ("prefill-moe-fp8", "linear_math"))
}  # fmt: skip
CARD = price_card("card", 0.1, 1.0, 10.0)
FOUR = deployment(LLAMA_70B, H100, 4, "fp8")
HOUR = HourSpan(low=2.0, high=3.0, basis="a test", as_of="2026-11")
SHAPE = Shape(isl_tokens=100, osl_tokens=400, cached_share=0.2)


def bought(tmp_path, card=CARD, tpot_s=None, own=None):
    metrics = {} if tpot_s is None else {
        "tpot_s": Distribution(n=8, failed=0, censored=0, mean=tpot_s, p50=tpot_s, p90=None, p95=None, p99=None,
                               max=tpot_s)}  # fmt: skip
    target = Endpoint(name="e", base_url="http://127.0.0.1:1/v1", model="m", price_card=card, deployment=own)
    tmp_path.mkdir(exist_ok=True)
    return write_folder(tmp_path, target, [record(number) for number in range(8)], result(metrics=metrics))


def test_the_band_by_hand(tmp_path):
    found = assumed_yield(read_case(bought(tmp_path)), FOUR, HOUR, PRIORS)
    sold = (80 * 1.0 + 20 * 0.1 + 400 * 10.0) / 400
    best = best_bound(FOUR, SHAPE)
    assert found.usd_per_mtok_output_sold == pytest.approx(sold)
    rates = [found.fraction_low * best.output_tokens_per_s, found.fraction_high * best.output_tokens_per_s]
    assert found.yield_high == pytest.approx(sold / 1e6 * rates[1] / (4 * 2.0 / 3600) - 1)
    assert found.yield_low == pytest.approx(sold / 1e6 * rates[0] / (4 * 3.0 / 3600) - 1)
    assert found.usd_per_mtok_output_low == pytest.approx(4 * 2.0 / 3600 / rates[1] * 1e6)
    assert 0.2 < found.fraction_low <= 0.25 * 1.01 and found.fraction_low < found.fraction_high <= 0.5 * 1.01
    assert found.floor == "above" and found.label == "assumed"
    assert set(found.priors) == {"decode-large-batch", "prefill-dense"} and found.unverified == ()
    rumour = PRIORS | {"prefill-dense": replace(PRIORS["prefill-dense"], status="unverified")}
    assert assumed_yield(read_case(bought(tmp_path)), FOUR, HOUR, rumour).unverified == ("prefill-dense",)


def test_what_comes_fast_was_not_made_in_a_large_batch(tmp_path):
    free = assumed_yield(read_case(bought(tmp_path / "a")), FOUR, HOUR, PRIORS)
    slow = assumed_yield(read_case(bought(tmp_path / "b", tpot_s=0.007)), FOUR, HOUR, PRIORS)
    assert slow.batch < free.batch and slow.yield_high < free.yield_high
    never = assumed_yield(read_case(bought(tmp_path / "c", tpot_s=0.0001)), FOUR, HOUR, PRIORS)
    assert never.yield_low is never.yield_high is None
    assert "0.1 ms a token" in never.reason and never.floor == "cannot tell"
    large = assumed_yield(read_case(bought(tmp_path / "d")), deployment(DEEPSEEK_V3, H100, 4, "fp8"), HOUR, PRIORS)
    assert "does not fit" in large.reason


def test_a_flat_week_is_sold_not_the_hour_of_the_test(tmp_path):
    peak = PriceWindow(name="peak", spans=(("00:00", "12:00"),), rates=Rates(
        usd_per_mtok_input=3.0, usd_per_mtok_input_cached=0.3, usd_per_mtok_output=30.0))  # fmt: skip
    dear = assumed_yield(
        read_case(bought(tmp_path, price_card("c", 0.1, 1.0, 10.0, windows=(peak,)))), FOUR, HOUR, PRIORS
    )
    assert dear.usd_per_mtok_output_sold == pytest.approx(2 * (80 * 1.0 + 20 * 0.1 + 400 * 10.0) / 400)


@given(
    out=st.floats(0.01, 100), low=st.floats(0.5, 4), wide=st.floats(1, 3), share=st.floats(0.05, 1),
    more=st.floats(1, 3),
)  # fmt: skip
def test_the_statement_never_contradicts_the_band(tmp_path_factory, out, low, wide, share, more):
    folder = bought(tmp_path_factory.mktemp("run"), price_card("c", 0.1 * out, 0.1 * out, out))
    priors = {name: replace(prior, low=share / more, high=share) for name, prior in PRIORS.items()}
    found = assumed_yield(read_case(folder), FOUR, replace(HOUR, low=low, high=low * wide), priors)
    assert found.yield_low <= found.yield_high
    if found.floor == "above":
        assert found.yield_low >= -1e-9
    if found.floor == "below":  # even the bound itself would lose
        assert found.yield_high < 0
    if found.yield_low > 1e-9:
        assert found.floor == "above"


def test_a_run_that_declares_its_own_or_has_no_card_has_no_band(tmp_path):
    own = bought(tmp_path / "a", own=replace(FOUR, usd_per_gpu_hour=2.0))
    with pytest.raises(InputError, match="declares its own"):
        assumed_yield(read_case(own), FOUR, HOUR, PRIORS)
    with pytest.raises(InputError, match="without a price card"):
        assumed_yield(read_case(bought(tmp_path / "b", card=None)), FOUR, HOUR, PRIORS)


def hours(*rows):
    return [GpuHour(name=name, accelerator="h100", usd_per_gpu_hour=usd, low=low, high=high, basis=name, source="s",
                    as_of=as_of, status=status) for name, usd, low, high, as_of, status in rows]  # fmt: skip


def test_an_hour_spans_what_the_catalog_still_asks():
    rows = hours(
        ("old", 9.0, None, None, "2025-08", "verified"), ("own", 1.5, None, None, "2026-09", "verified"),
        ("rent", 3.0, 2.4, 4.0, "2026-11", "verified"), ("rumour", 0.1, None, None, "2026-11", "unverified"),
    )  # fmt: skip
    found = hour_span(FOUR, rows, None)
    assert (found.low, found.high, found.basis) == (1.5, 4.0, "own .. rent")
    assert found.as_of == "2026-09 and 2026-11"
    assert hour_span(FOUR, [], None) is None
    assert hour_span(FOUR, rows, (1.0, 2.0)).basis == "as given with --gpu-hour"
    declared = hour_span(replace(FOUR, usd_per_gpu_hour=2.5, price_basis="contract", price_as_of="2026-11"), rows, None)
    assert (declared.low, declared.high, declared.basis) == (2.5, 2.5, "contract")


# -- the command --------------------------------------------------------------------------------------------------


def called(folder, *options):
    return CliRunner().invoke(command, [str(folder), *options])


def test_the_command_labels_it_and_leaves_economics_alone(tmp_path):
    folder = bought(tmp_path)
    done = called(folder, "--assume-deployment", "4xh100-sxm", "--assume-model", "llama-3.3-70b")
    assert done.exit_code == 0, done.output
    assert "decode-large-batch UNVERIFIED" in done.output
    assert "ASSUMED" in done.output and "never gated" in done.output and "price is above cost floor" in done.output
    assert all(len(line) <= 80 for line in done.output.splitlines())
    assert not (folder / "economics.json").exists()
    assert price(folder).yield_ratio is None
    named = json.loads(called(folder, "--assume-deployment", "8xh200-sxm", "--assume-model", "deepseek-v3",
                              "--gpu-hour", "1.22..2.90", "--json").output)  # fmt: skip
    band = named["assumed"]
    assert (band["label"], band["hour"]["low"], band["hour"]["high"]) == ("assumed", 1.22, 2.9)
    assert band["yield_low"] < band["yield_high"] and named["own"]["yield_ratio"] is None


def test_the_command_takes_an_entry_of_providers(tmp_path):
    done = called(bought(tmp_path), "--assume-deployment", "simulator")
    assert done.exit_code == 0 and "2x h100-sxm, llama-3.3-70b fp8" in done.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--assume-deployment", "8xh201-sxm", "--assume-model", "deepseek-v3"), "h201"),
        (("--assume-deployment", "8xh200-sxm"), "--assume-model"),
        (("--assume-deployment", "8xh200-sxm", "--assume-model", "deepseek-v9"), "deepseek-v9"),
        (("--assume-deployment", "simulater"), "simulator"),
        (("--assume-deployment", "0xh200-sxm", "--assume-model", "deepseek-v3"), "0xh200-sxm"),
    ],
)
def test_wrong_names_are_told(tmp_path, options, said):
    done = called(bought(tmp_path), *options)
    assert isinstance(done.exception, InputError) and said in str(done.exception)
