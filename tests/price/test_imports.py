"""Results that other tools wrote are read field by field and priced by hand; what a file lacks stays null.

Every fixture's values are made by hand, and its `_made` line says where its keys were read.
"""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.cli import cli
from harness.errors import InputError
from harness.price.imports import TOOLS, read_results
from harness.price.imports.measured import Measured, Spread
from harness.price.imports.pricing import NO_CARD, NO_HOUR, Hardware, price_load
from harness.providers import rates_at
from tests.cards import price_card

HERE = Path(__file__).parent / "imports"
TTFT = Spread(mean=0.41, p50=0.38, p90=0.6, p99=0.9)
TPOT = Spread(mean=0.0155, p50=0.015, p90=0.017, p99=0.019)
EIGHT = Hardware(usd_per_gpu_hour=2.5, basis="rent", as_of="2026-11", accelerator="h100-sxm", count=8)
CARD = price_card("card", 0.1, 1.0, 10.0)


def one(tool: str) -> Measured:
    return read_results(tool, HERE / f"{tool}.json")[0]


# -- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["vllm", "guidellm", "aiperf", "genai-bench"])
def test_four_tools_tell_the_same_load(tool):
    found = one(tool)
    assert (found.requests_ok, found.duration_s) == (200, 100.0)
    assert (found.input_tokens, found.output_tokens) == (200_000, 100_000)
    assert (found.input_tokens_per_s, found.output_tokens_per_s) == (2_000, 1_000)
    assert (found.isl_tokens, found.osl_tokens) == (1_000, 500)
    assert (found.ttft_s.mean, found.ttft_s.p50, found.ttft_s.p99) == pytest.approx((0.41, 0.38, 0.9))
    assert (found.tpot_s.mean, found.tpot_s.p50, found.tpot_s.p99) == pytest.approx((0.0155, 0.015, 0.019))


def test_what_each_tool_tells_beside_that():
    vllm, guidellm, aiperf, genai = (one(tool) for tool in ("vllm", "guidellm", "aiperf", "genai-bench"))
    assert [found.concurrency for found in (vllm, guidellm, aiperf, genai)] == [16, 8, 16, 16]
    assert [found.requests_failed for found in (vllm, guidellm, aiperf, genai)] == [2, 4, 2, 2]
    assert (vllm.ttft_s.p90, aiperf.ttft_s.p90) == (None, 0.6)
    assert (vllm.model, aiperf.model, genai.model) == ("meta-llama/Llama-3.3-70B-Instruct", "deepseek-reasoner", None)
    assert (vllm.date, vllm.epoch_s) == ("20261114-193625", None)  # local time without a zone is no moment
    assert guidellm.epoch_s == aiperf.epoch_s == 1_795_140_000


def test_a_guidellm_load_without_sums_keeps_its_rate_and_leaves_the_rest_null():
    _, second = read_results("guidellm", HERE / "guidellm.json")
    assert (second.label, second.concurrency, second.duration_s) == ("constant", None, None)
    assert (second.input_tokens, second.output_tokens, second.output_tokens_per_s) == (None, None, 420.0)
    assert second.ttft_s == Spread()


def test_inferencex_rates_are_made_whole():
    plain, apart = read_results("inferencex", HERE / "inferencex.json")
    assert (plain.accelerators, plain.output_tokens_per_s, plain.input_tokens_per_s) == (8, 2_400, 2_400)
    assert plain.ttft_s == Spread(mean=0.41, p50=0.38, p99=0.9) and plain.requests_ok is None
    # prefill and decode apart: the output rate is per decode GPU, the input rate per prefill GPU
    assert (apart.accelerators, apart.output_tokens_per_s, apart.input_tokens_per_s) == (40, 24_000, 192_000)
    assert (apart.output_tokens_per_s + apart.input_tokens_per_s) / 40 == pytest.approx(5_400)
    assert apart.label == "gb200 dynamo-sglang mtp" and apart.date == "2026-07-18"


def test_inferencex_rows_of_a_csv_file():
    first, second = read_results("inferencex", HERE / "inferencex.csv")
    assert (first.accelerators, first.output_tokens_per_s, first.input_tokens_per_s) == (4, 482.0, 473.0)
    assert (second.output_tokens_per_s, second.input_tokens_per_s, second.tpot_s.p50) == (1_920.0, None, None)


def test_older_shapes_of_aiperf_and_genai_bench(tmp_path):
    old = {"records": {"time_to_first_token": {"unit": "ns", "p50": 4e8}, "output_token_throughput": {"avg": 50.0},
                       "total_output_tokens": {"avg": 30.0}, "total_reasoning_tokens": {"avg": 70.0}}}  # fmt: skip
    path = tmp_path / "a.json"
    path.write_text(json.dumps(old))
    found = read_results("aiperf", path)[0]
    assert (found.ttft_s.p50, found.output_tokens, found.output_tokens_per_s) == (0.4, 100.0, 50.0)
    early = json.loads((HERE / "genai-bench.json").read_text())
    del early["aggregated_metrics"]["run_duration"]
    early["_time_unit"] = "ms"
    path.write_text(json.dumps(early))
    found = read_results("genai-bench", path)[0]
    assert (found.duration_s, found.output_tokens_per_s, found.input_tokens_per_s) == (None, 1_000.0, None)
    assert found.ttft_s.p50 == pytest.approx(0.00038)


def test_appended_results_are_one_object_a_line(tmp_path):
    text = json.dumps(json.loads((HERE / "vllm.json").read_text()))
    path = tmp_path / "appended.json"
    path.write_text(f"{text}\n{text}\n")
    assert len(read_results("vllm", path)) == 2


# -- pricing ------------------------------------------------------------------------------------------------------


def test_the_owners_price_by_hand():
    found = price_load(one("vllm"), EIGHT, None)
    per_s = 8 * 2.5 / 3600
    assert found.owner.usd_per_mtok_output_allin == pytest.approx(per_s / 1_000 * 1e6)
    assert found.owner.usd_per_mtok_total == pytest.approx(per_s / 3_000 * 1e6)
    assert found.owner.usd_per_1k_requests == pytest.approx(per_s / 2 * 1e3)
    assert (found.owner.basis, found.owner.as_of, found.owner.accelerators) == ("rent", "2026-11", 8)
    assert found.buyer.bill_usd is None and found.reasons["buyer"] == NO_CARD


def test_the_buyers_price_by_hand():
    found = price_load(one("vllm"), None, CARD)
    assert found.buyer.bill_usd == pytest.approx(0.2 * 1.0 + 0.1 * 10.0)
    assert found.buyer.usd_per_1k_requests == pytest.approx(1.2 / 200 * 1000)
    assert found.buyer.usd_per_mtok_blended == pytest.approx(1.2 / 0.3)
    assert found.buyer.usd_per_mtok_blend_3to1 == pytest.approx((3 * 1.0 + 10.0) / 4)
    assert found.owner.usd_per_mtok_output_allin is None and found.reasons["owner"] == NO_HOUR
    assert any("uncached" in note for note in found.notes) and any("moment" in note for note in found.notes)


def test_both_prices_make_a_yield_and_no_useful_answer():
    found = price_load(one("aiperf"), EIGHT, CARD)
    assert found.yield_ratio == pytest.approx((0.002 * 1.0 + 0.001 * 10.0) * 3600 / (8 * 2.5) - 1)
    assert found.usd_per_1k_useful is None and "useful" in found.reasons["usd_per_1k_useful"]


def test_published_rows_recompute():
    """InferenceX on gpt-oss: $/M = c / (tok/s/GPU x 0.0036); 5,856.9 tok/s at 1.95 and 725.2 at 1.12 USD per hour."""
    for tokens_per_s, usd, per_mtok in ((5_856.9, 1.95, 0.0925), (725.2, 1.12, 0.429)):
        load = Measured(tool="inferencex", label="x", accelerators=1, output_tokens_per_s=tokens_per_s)
        hardware = Hardware(usd_per_gpu_hour=usd, basis="owner", as_of="2026-01")
        assert price_load(load, hardware, None).owner.usd_per_mtok_output_allin == pytest.approx(per_mtok, rel=1e-3)


def test_accelerators_come_from_the_file_unless_they_are_named():
    row = read_results("inferencex", HERE / "inferencex.json")[0]
    alone = Hardware(usd_per_gpu_hour=4.0, basis="rent", as_of=None)
    assert price_load(row, alone, None).owner.accelerators == 8
    named = price_load(row, Hardware(usd_per_gpu_hour=4.0, basis="rent", as_of=None, count=16), None)
    assert named.owner.accelerators == 16 and any("the file itself has 8" in note for note in named.notes)
    untold = price_load(one("vllm"), alone, None)
    assert untold.owner.usd_per_mtok_output_allin is None and "add --count" in untold.reasons["owner"]
    assert price_load(row, alone, None).reasons["owner.usd_per_1k_requests"] == "the file has no rate of requests"


def test_rates_alone_give_a_price_of_the_mix_but_no_bill():
    row = read_results("inferencex", HERE / "inferencex.json")[0]
    found = price_load(row, None, CARD)
    assert found.buyer.bill_usd is None and "no sums" in found.reasons["buyer.bill_usd"]
    assert found.buyer.usd_per_mtok_blended == pytest.approx((1.0 + 10.0) / 2)


def test_a_moment_with_its_zone_picks_the_rates_of_that_moment():
    from harness.config import load_providers

    card = load_providers().catalog.prices["deepseek-flash"]
    measured = one("aiperf")  # Friday 02:00 UTC: peak
    found = price_load(measured, None, card)
    moment = rates_at(card, measured.epoch_s)
    assert moment is not None and found.buyer.price_label == moment.label and moment.label.endswith("peak")
    assert not any("moment" in note for note in found.notes)


@given(st.floats(0.01, 1e5), st.floats(0.01, 50), st.integers(1, 1000))
def test_a_price_is_cost_over_rate(rate, usd, count):
    load = Measured(tool="vllm", label="x", output_tokens_per_s=rate)
    found = price_load(load, Hardware(usd_per_gpu_hour=usd, basis="b", as_of=None, count=count), None)
    assert found.owner.usd_per_mtok_output_allin * rate / 1e6 == pytest.approx(usd * count / 3600)


# -- what is wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('"text"', "no JSON object"),
        ('[{"a": 1}, 2]', "items that are no objects"),
        ('{"a": 1}', ""),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_a_file_that_is_no_result_is_refused_in_words(tmp_path, tool, text, message):
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_results(tool, path)
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_wrong_fields_are_all_told_at_once(tmp_path):
    broken = json.loads((HERE / "vllm.json").read_text()) | {"duration": "long", "median_ttft_ms": "soon"}
    path = tmp_path / "v.json"
    path.write_text(json.dumps(broken))
    with pytest.raises(InputError) as caught:
        read_results("vllm", path)
    assert [mistake.key for mistake in caught.value.mistakes] == ["duration", "median_ttft_ms"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(-5, 5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["benchmarks", "metrics", "records", "duration", "config", "stats", "aggregated_metrics",
                         "successful", "unit", "avg", "time_to_first_token", "output_throughput", "num_gpus"]),
        inner, max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(tool=st.sampled_from(list(TOOLS)), document=_JSON)
def test_no_document_breaks_a_reader(tmp_path_factory, tool, document):
    path = tmp_path_factory.mktemp("any") / "x.json"
    path.write_text(json.dumps(document))
    try:
        for load in read_results(tool, path):
            price_load(load, EIGHT, CARD)
    except InputError as error:
        assert error.mistakes


# -- the command --------------------------------------------------------------------------------------------------


def run(*arguments: str):
    return CliRunner(env={"COLUMNS": "80"}).invoke(cli, ["price", *arguments])


def test_the_command_prints_a_table_of_80_columns():
    arguments = ("--gpu-hour", "h100-sxm-rent", "--count", "8", "--card", "together-llama-3.3-70b")
    found = run("--from", "vllm", str(HERE / "vllm.json"), *arguments)
    assert found.exit_code == 0, found.output
    assert "$/M output, all-in" in found.output and "8 x h100-sxm" in found.output
    assert max(map(len, found.output.splitlines())) <= 80
    several = run("--from=guidellm", str(HERE / "guidellm.json"), *arguments)
    assert several.exit_code == 0 and "concurrent" in several.output and "constant" in several.output


def test_the_command_prints_one_json_document():
    found = run("--from", "inferencex", str(HERE / "inferencex.json"), "--gpu-hour", "2.5", "--json")
    document = json.loads(found.stdout)
    assert [load["owner"]["accelerators"] for load in document["loads"]] == [8, 40]
    assert document["loads"][0]["buyer"]["bill_usd"] is None
    assert document["loads"][0]["usd_per_1k_useful"] is None


def test_mistakes_on_the_command_line_come_at_once():
    found = run(
        "--from", "vllm", str(HERE / "vllm.json"), "--card", "togther", "--gpu-hour", "h100", "--accelerator", "x"
    )
    assert isinstance(found.exception, InputError)
    assert [mistake.file for mistake in found.exception.mistakes] == ["--card", "--accelerator", "--gpu-hour"]
    nothing = run("--from", "vllm", str(HERE / "vllm.json"))
    assert isinstance(nothing.exception, InputError) and "neither" in str(nothing.exception)
    missing = run("--from", "vllm", "no-such.json", "--gpu-hour", "2")
    assert isinstance(missing.exception, InputError) and missing.exception.exit_code == 2


def test_a_folder_is_still_priced_without_from():
    assert "DIR" in run("--help").output and "--from" in run("--help").output
    assert "FILE" in run("--from", "vllm", "--help").output
