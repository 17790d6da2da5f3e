"""The built-in catalog: every row says where it comes from, and the numbers it was built on come out again."""

import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from harness.config.catalog import CATALOG_FOLDER, load_catalog
from harness.config.documents import read_document
from harness.config.endpoints import load_providers
from harness.errors import InputError
from harness.providers import ModelCard, PriceCard, rates_at

FILES = sorted(CATALOG_FOLDER.glob("*.yaml"))
CATALOG = load_catalog()


def rows() -> list[tuple[str, str, dict[str, object]]]:
    return [
        (path.stem, name, row)
        for path in FILES
        for section in read_document(path).root.values()
        for name, row in section.items()
    ]


@pytest.mark.parametrize(("file", "name", "row"), rows(), ids=lambda part: part if isinstance(part, str) else "")
def test_every_row_has_a_source_and_a_date_that_is_not_ahead(file: str, name: str, row: dict[str, object]) -> None:
    assert isinstance(row["source"], str) and len(row["source"]) > 3, (file, name)
    assert isinstance(row["as_of"], str)
    assert "2024" <= row["as_of"] <= "2026-12", (file, name)
    shape = r"[A-Z]+[0-9]+[a-z]?" if "statement" in row else r"[a-z0-9][a-z0-9.-]*"
    assert re.fullmatch(shape, name), "a name that can be typed and put into a label"


def test_known_figures() -> None:
    h100, m2 = CATALOG.accelerators["h100-sxm"], CATALOG.accelerators["m2-ultra-192"]
    assert (h100.hbm_bytes, h100.hbm_bytes_per_s, h100.flops_per_s["fp8"]) == (80e9, 3.35e12, 1.979e15)
    assert (h100.scale_up_bytes_per_s, h100.all_in_w) == (450e9, 1730)
    assert "fp8" not in CATALOG.accelerators["a100-80-sxm"].flops_per_s
    assert m2.hbm_bytes == 144e9, "three quarters of a Mac's memory"
    assert CATALOG.gpu_hours["gb200-nvl72-coreweave"].usd_per_gpu_hour / CATALOG.gpu_hours[
        "h200-sxm-coreweave"
    ].usd_per_gpu_hour == pytest.approx(1.665, rel=1e-3)


def test_rows_of_weak_sources_are_marked() -> None:
    status = {name: row.status for name, row in CATALOG.accelerators.items()}
    assert status["ascend-910b"] == "conflicting"
    assert {name for name, mark in status.items() if mark == "unverified"} == {
        "h800-sxm", "h20", "rtx-4090", "m2-ultra-192", "wse-3", "groq-lpu"
    }  # fmt: skip
    assert {name for name, card in CATALOG.prices.items() if card.status == "conflicting"} == {
        f"deepseek-v4-{kind}-launch-{side}" for kind in ("flash", "pro") for side in ("high", "low")
    }


def computed_params(model: ModelCard) -> float:
    """Written apart from `theory`, so that no shared mistake can hide (norms and biases left out: < 0.05 %)."""
    if model.attention == "mla":
        query = model.q_lora_rank * (model.hidden + model.heads * (model.nope_head_dim + model.rope_head_dim))
        latent = model.hidden * (model.kv_lora_rank + model.rope_head_dim)
        heads = model.heads * (model.kv_lora_rank * (model.nope_head_dim + model.v_head_dim))
        attention = query + latent + heads + model.heads * model.v_head_dim * model.hidden
    else:
        attention = model.hidden * model.head_dim * (2 * model.heads + 2 * model.kv_heads)
    expert_layers = model.layers - model.dense_layers if model.experts else 0
    experts = 3 * model.hidden * model.expert_ffn * (model.experts + model.shared_experts)
    dense = (model.layers - expert_layers) * 3 * model.hidden * model.ffn
    routers = model.hidden * model.experts
    embeddings = model.vocab * model.hidden * (1 if model.tied_embeddings else 2)
    return float(model.layers * attention + expert_layers * (experts + routers) + dense + embeddings)


def stated_params() -> list[tuple[str, float]]:
    models = read_document(CATALOG_FOLDER / "models.yaml").root["models"]
    return [(name, row["total_params_b"]) for name, row in models.items() if "total_params_b" in row]


@pytest.mark.parametrize(("name", "billions"), stated_params())
def test_architecture_gives_the_published_parameter_count(name: str, billions: float) -> None:
    assert computed_params(CATALOG.models[name]) == pytest.approx(billions * 1e9, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "bytes_per_token"),
    [
        ("deepseek-v3", 70_272), ("deepseek-v2", 69_120), ("kimi-k2", 70_272), ("llama-3.1-8b", 131_072),
        ("llama-3.3-70b", 327_680), ("llama-3.1-405b", 516_096), ("qwen2.5-7b", 57_344), ("qwen2.5-72b", 327_680),
        ("r1-distill-qwen-1.5b", 28_672), ("gpt-oss-120b", 73_728), ("gpt-oss-20b", 49_152),
        ("qwen3-30b-a3b", 98_304), ("qwen3-235b-a22b", 192_512), ("deepseek-67b", 389_120),
    ],
)  # fmt: skip
def test_architecture_gives_the_published_kv_size(name: str, bytes_per_token: int) -> None:
    model = CATALOG.models[name]
    elements = (
        model.kv_lora_rank + model.rope_head_dim if model.attention == "mla" else 2 * model.kv_heads * model.head_dim
    )
    assert 2 * elements * model.layers == bytes_per_token


def test_an_alias_is_a_card_of_its_own() -> None:
    assert CATALOG.models["r1-distill-llama-70b"].name == "r1-distill-llama-70b"
    assert CATALOG.models["r1-distill-llama-70b"].layers == CATALOG.models["llama-3.3-70b"].layers


def price(name: str, moment: str) -> tuple[float | None, float, float] | None:
    found = rates_at(CATALOG.prices[name], datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())
    if found is None:
        return None
    rates = found.rates
    return rates.usd_per_mtok_input_cached, rates.usd_per_mtok_input, rates.usd_per_mtok_output


@pytest.mark.parametrize(
    ("name", "moment", "rates"),
    [
        ("deepseek-chat", "2025-01-15T12:00", (0.014, 0.14, 0.28)),
        ("deepseek-chat", "2025-02-20T12:00", (0.07, 0.27, 1.10)),
        ("deepseek-chat", "2025-06-01T12:00", (0.07, 0.27, 1.10)),
        ("deepseek-chat", "2025-06-01T16:30", (0.035, 0.135, 0.55)),
        ("deepseek-reasoner", "2025-02-27T12:00", (0.14, 0.55, 2.19)),
        ("deepseek-reasoner", "2025-06-02T00:29", (0.035, 0.135, 0.55)),
        ("deepseek-reasoner", "2025-09-05T15:59", (0.14, 0.55, 2.19)),
        ("deepseek-reasoner", "2025-09-05T16:30", (0.07, 0.56, 1.68)),  # the night discount is gone
        ("deepseek-reasoner", "2025-10-01T12:00", (0.028, 0.28, 0.42)),
        ("deepseek-flash", "2026-08-16T15:59", None),
        ("deepseek-flash", "2026-08-22T02:00", (0.014, 0.44, 1.32)),  # the first Saturday was peak still
        ("deepseek-flash", "2026-08-29T02:00", (0.007, 0.22, 0.66)),
        ("deepseek-flash", "2026-09-10T03:59", (0.014, 0.44, 1.32)),
        ("deepseek-flash", "2026-09-10T06:00", (0.006, 0.30, 1.20)),
        ("deepseek-flash", "2026-10-02T02:00", (0.003, 0.15, 0.60)),  # National Day
        ("deepseek-flash", "2026-11-20T05:00", (0.003, 0.15, 0.60)),
        ("deepseek-v4-pro", "2026-11-20T02:00", (0.044, 1.32, 3.96)),
        ("deepseek-v4-pro", "2026-11-21T02:00", (0.022, 0.66, 1.98)),
    ],
)
def test_deepseek_prices_through_time(name: str, moment: str, rates: tuple[float | None, float, float] | None) -> None:
    assert price(name, moment) == rates


@pytest.mark.parametrize(("name", "mean"), [("deepseek-flash", 0.725), ("deepseek-v4-pro", 2.3925)])
def test_flat_use_of_a_plain_week_pays_the_published_mean(name: str, mean: float) -> None:
    monday = datetime(2026, 11, 9, tzinfo=UTC)
    found = [rates_at(CATALOG.prices[name], (monday + timedelta(hours=hour)).timestamp()) for hour in range(168)]
    outputs = [moment.rates.usd_per_mtok_output for moment in found if moment is not None]
    assert sum(moment is not None and moment.label.endswith("/peak") for moment in found) == 35
    assert sum(outputs) / 168 == pytest.approx(mean, rel=1e-9)


def test_the_holidays_of_2026() -> None:
    peak = CATALOG.prices["deepseek-flash"].periods[-1].windows[0]
    days = [date.fromisoformat(day) for day in peak.except_dates]
    assert len(days) == 33 and days == sorted(set(days)) and {day.year for day in days} == {2026}
    assert sum(day.weekday() < 5 for day in days) == 19


def priced_at_all_times() -> list[PriceCard]:
    return [card for card in CATALOG.prices.values() if card.periods[-1].valid_to is None]


@pytest.mark.parametrize("card", priced_at_all_times(), ids=lambda card: card.name)
def test_a_current_card_has_sane_rates_now(card: PriceCard) -> None:
    found = rates_at(card, datetime(2026, 11, 21, tzinfo=UTC).timestamp())
    assert found is not None
    rates = found.rates
    assert 0 < (rates.usd_per_mtok_input_cached or rates.usd_per_mtok_input) <= rates.usd_per_mtok_input
    assert rates.usd_per_mtok_input <= rates.usd_per_mtok_output <= 100


def test_a_user_adds_rows_and_may_not_hide_built_in_ones(tmp_path: Path) -> None:
    extra = tmp_path / "mine.yaml"
    extra.write_text(
        "gpu_hours:\n"
        "  mine: {accelerator: h100-sxm, usd_per_gpu_hour: 2.1, basis: contract, source: me, as_of: 2026-11}\n"
    )
    assert load_catalog(extra).gpu_hours["mine"].usd_per_gpu_hour == 2.1
    assert "mine" not in load_catalog().gpu_hours

    extra = tmp_path / "other.yaml"
    extra.write_text(
        "accelerators:\n  h100-sxm: {hbm_gb: 1, hbm_tb_per_s: 1, tflops: {bf16: 1}, source: me, as_of: 2026-11}\n"
        "gpu_hour: {}\n"
        "gpu_hours:\n  bad: {accelerator: h100, usd_per_gpu_hour: -1, basis: b, source: me, as_of: 2026-13}\n"
    )
    with pytest.raises(InputError) as caught:
        load_catalog(extra)
    text = str(caught.value)
    for part in ("has already", "gpu_hour (line 3)", "at least 0", "gpu_hours.bad.as_of (line 5)"):
        assert part in text, part


def test_a_user_replaces_a_row_by_saying_so(tmp_path: Path) -> None:
    extra = tmp_path / "mine.yaml"
    row = "{accelerator: h100-sxm, usd_per_gpu_hour: 1.5, basis: contract, source: me, as_of: 2026-11%s}"
    extra.write_text(f"gpu_hours:\n  h100-sxm-rent: {row % ', override: true'}\n")
    catalog = load_catalog(extra)
    assert catalog.gpu_hours["h100-sxm-rent"].usd_per_gpu_hour == 1.5
    assert catalog.overridden == {"gpu_hours.h100-sxm-rent": str(extra)}
    assert load_catalog().gpu_hours["h100-sxm-rent"].usd_per_gpu_hour != 1.5 and not load_catalog().overridden

    extra = tmp_path / "silent.yaml"
    extra.write_text(
        f"gpu_hours:\n  h100-sxm-rent: {row % ''}\n  h100-sxm-rnet: {row % ', override: true'}\n"
        "models:\n  llama-3.3-70b: {layers: 1, hidden: 8, heads: 2, kv_heads: 2, head_dim: 4, ffn: 16, vocab: 32,"
        " source: me, as_of: 2026-11}\n"
    )
    with pytest.raises(InputError) as caught:
        load_catalog(extra)
    first, second, third = sorted(caught.value.mistakes, key=lambda mistake: mistake.key)
    assert "h100-sxm-rent" in first.found and "`override: true`" in first.expected
    assert "has not" in second.found and "h100-sxm-rent" in second.expected
    assert "llama-3.3-70b" in third.found and "`override: true`" in third.expected


def test_an_endpoint_says_which_of_its_rows_were_replaced(tmp_path: Path) -> None:
    path = tmp_path / "providers.yaml"
    path.write_text(
        "gpu_hours:\n  h100-sxm-rent: {accelerator: h100-sxm, usd_per_gpu_hour: 1.5, basis: contract,"
        " source: my contract, as_of: 2026-11, override: true}\n"
        "endpoints:\n  mine:\n    base_url: http://127.0.0.1:9/v1\n    model: m\n"
        "    deployment: {accelerator: h100-sxm, count: 1, model: llama-3.1-8b, precision: bf16,"
        " gpu_hour: h100-sxm-rent}\n"
    )
    endpoint = load_providers(path).endpoints["mine"]
    assert endpoint.deployment is not None and endpoint.deployment.usd_per_gpu_hour == 1.5
    assert endpoint.notes == ("h100-sxm-rent overrides the built-in row of gpu_hours: my contract, 2026-11",)


def test_every_kind_of_row_can_be_replaced(tmp_path: Path) -> None:
    extra = tmp_path / "all.yaml"
    mine = "source: me, as_of: 2026-11, override: true"
    extra.write_text(
        f"calendars:\n  cn-public-holidays: {{dates: [2027-01-01], {mine}}}\n"
        f"accelerators:\n  h100-sxm: {{hbm_gb: 94, hbm_tb_per_s: 3.9, tflops: {{bf16: 835}}, {mine}}}\n"
        "models:\n  llama-3.3-70b: {layers: 1, hidden: 8, heads: 2, kv_heads: 2, head_dim: 4, ffn: 16, vocab: 32,"
        f" aliases: [llama-3.1-70b, mine], {mine}}}\n"
        f"prices:\n  groq-llama-3.3-70b: {{provider: groq, model: m, periods: [{{{RATES}}}], {mine}}}\n"
    )
    catalog = load_catalog(extra)
    assert catalog.accelerators["h100-sxm"].hbm_bytes == 94e9
    assert [catalog.models[name].layers for name in ("llama-3.3-70b", "llama-3.1-70b", "mine")] == [1, 1, 1]
    assert catalog.prices["groq-llama-3.3-70b"].model == "m"
    assert set(catalog.overridden) == {
        "calendars.cn-public-holidays", "accelerators.h100-sxm", "models.llama-3.3-70b", "models.llama-3.1-70b",
        "prices.groq-llama-3.3-70b",
    }  # fmt: skip


def test_both_tables_of_inferencex_stand_side_by_side() -> None:
    hours = CATALOG.gpu_hours
    ratio = {
        suffix: hours[f"gb200-nvl72-{suffix}"].usd_per_gpu_hour / hours[f"mi355x-{suffix}"].usd_per_gpu_hour
        for suffix in ("own-hyperscaler-2025", "rent-3y-2025", "own", "rent-3y")
    }
    assert ratio == pytest.approx(
        {"own-hyperscaler-2025": 1.493, "rent-3y-2025": 1.571, "own": 1.240, "rent-3y": 1.379}, rel=1e-3
    )
    for gpu in ("h100-sxm", "h200-sxm", "b200-sxm", "gb200-nvl72", "mi300x", "mi325x", "mi355x"):
        names = [f"{gpu}-{suffix}" for suffix in (*ratio, "own-neocloud-2025")]
        assert {hours[name].as_of for name in names} == {"2025-08", "2026-09"}


def test_what_a_machine_of_sram_is() -> None:
    wafer, chip = CATALOG.accelerators["wse-3"], CATALOG.accelerators["groq-lpu"]
    assert (wafer.hbm_bytes, wafer.hbm_bytes_per_s) == (44e9, 21e15)
    assert (chip.hbm_bytes, chip.hbm_bytes_per_s, wafer.status, chip.status) == (
        pytest.approx(0.23e9), 80e12, "unverified", "unverified"
    )  # fmt: skip


PRICE = "prices:\n  mine:\n    provider: p\n    model: m\n    source: me\n    as_of: 2026-11-21\n    periods:\n"
RATES = "rates: {usd_per_mtok_input: 1, usd_per_mtok_output: 2}"
WINDOW = f"      - {RATES}\n        windows: [{{name: w, {RATES}, %s}}]\n"


@pytest.mark.parametrize(
    ("periods", "message"),
    [
        (f"      - {RATES}\n      - {RATES}\n", "overlaps"),
        (f"      - valid_from: 2026-02-01\n        valid_to: 2026-01-01\n        {RATES}\n", "after valid_from"),
        (f"      - valid_from: 2026-02-31\n        {RATES}\n", "moments that exist"),
        (f"      - valid_from: soon\n        {RATES}\n", "an ISO moment"),
        ("      - rates: {usd_per_mtok_input: -1, usd_per_mtok_output: 2}\n", "at least 0"),
        ("      - rates: {usd_per_mtok_input: .nan, usd_per_mtok_output: 2}\n", "a number"),
        ("      - rates: {usd_per_mtok_input: 1e999, usd_per_mtok_output: 2}\n", "a finite number"),
        (WINDOW % "spans: [['1:00', '02:00']]", "a time of day"),
        (WINDOW % "spans: [['02:00', '02:00']]", "with a length"),
        (
            WINDOW % "spans: [['01:00', '02:00']], weekdays: [7]",
            "at most 6",
        ),
        (
            WINDOW % "spans: [['01:00', '02:00']], except_dates: cn",
            "did you mean cn-public-holidays?",
        ),
    ],
)
def test_a_price_card_that_cannot_be(tmp_path: Path, periods: str, message: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(PRICE + periods)
    with pytest.raises(InputError, match=re.escape(message)):
        load_catalog(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("kv_heads: 3", "a divisor of heads"),
        ("experts: 8", "experts_per_token"),
        ("attention: mla", "kv_lora_rank"),
        ("window_layers: 2", "the tokens that windowed layers see"),
        ("dense_layers: 9", "at least dense_layers"),
        ("layers: 0", "at least 1"),
        ("layers: 2.5", "a whole number"),
    ],
)
def test_a_model_that_cannot_be(tmp_path: Path, change: str, message: str) -> None:
    fields = {"layers": "4", "hidden": "8", "heads": "2", "kv_heads": "2", "head_dim": "4", "ffn": "16", "vocab": "32"}
    name, value = change.split(": ")
    lines = "".join(f"    {key}: {text}\n" for key, text in {**fields, name: value}.items())
    path = tmp_path / "models.yaml"
    path.write_text(f"models:\n  mine:\n    source: me\n    as_of: 2026-11-21\n{lines}")
    with pytest.raises(InputError, match=message):
        load_catalog(path)


def test_loading_is_cached_and_quick() -> None:
    assert load_catalog() is load_catalog()
    program = (
        "import time, harness.config.catalog as c; t = time.process_time(); c.load_catalog();"
        "print(time.process_time() - t)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 0.1


def test_a_worker_that_reads_a_key_loads_neither_yaml_nor_pydantic() -> None:
    program = (
        "import sys; from harness.config import read_key;"
        "print([name for name in ('yaml', 'pydantic', 'pandas') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
