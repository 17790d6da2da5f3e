"""providers.yaml: what it means, what is shipped, and every mistake in it at once."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config import (
    default_providers_path,
    load_providers,
)
from harness.config.documents import parse_document
from harness.config.endpoints import EMBEDDED_URL
from harness.errors import InputError
from harness.providers import Power
from harness.simulator.presets import PRESETS
from harness.theory import math_rate
from tests.provider_files import GPU, LOCAL, SHIPPED, entry, mistakes_of, write

# ---------------------------------------------------------------------------------------------------- documents


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-11-21", "2026-11-21"), ("12:30", "12:30"), ("yes", "yes"), ("on", "on"), ("1e9", 1e9), ("3", 3),
        ("-0.5", -0.5), ("true", True), ("null", None), ("", None), ("~", None), ("'5'", "5"), ('"true"', "true"),
        ("0x10", "0x10"), ("1_000", "1_000"), ("nan", "nan"), (".inf", ".inf"), ("[1, a]", [1, "a"]),
    ],
)  # fmt: skip
def test_scalars_mean_what_they_look_like(text: str, value: object) -> None:
    found = parse_document(f"key: {text}", "f").root["key"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "a (line 3): found a key that stands on line 1 already"),
        ("a:\n  b: 1\n  b: 2\n", "a.b (line 3)"),
        ("a: !!python/object/apply:os.system [x]\n", "the tag python/object"),
        ("a: !secret x\n", "the tag !secret"),
        ("a: [1, 2\nb: 3\n", "line "),
        ("a:\n\t- 1\n", "line 2"),
        ("- a\n- b\n", "a list at the top"),
        ("just text", "a str at the top"),
        ("? [a]\n: b\n", "a key that is a list"),
        ("a: 1\n---\nb: 2\n", "single document"),
        ("a: &a [*a]\n", "nested too deep"),
        ("a: *nobody\n", "undefined alias"),
        ("a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
        ), "repeated too often"),
        ("[" * 5000, ""),
    ],
)  # fmt: skip
def test_bad_yaml_is_a_mistake_with_a_line(text: str, message: str) -> None:
    try:
        found = "\n".join(map(str, parse_document(text, "f.yaml").mistakes))
    except InputError as error:
        found = str(error)
    assert "f.yaml" in found and message in found


def test_all_duplicates_are_told_at_once_and_beside_the_rest(tmp_path: Path) -> None:
    assert len(parse_document("a: 1\na: 2\nb: {c: 1, c: 2}\n", "f").mistakes) == 2
    found = mistakes_of(tmp_path, entry(LOCAL + "dialect: vlm\nmodel: n\nmodel: o"))
    assert [line.split(": ")[1] for line in found] == [f"endpoints.e.{key}" for key in (
        "dialect (line 5)", "model (line 6)", "model (line 7)")]  # fmt: skip


@given(text=st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        parse_document(text, "f")
    except InputError:
        pass


_NAMES = st.sampled_from([
    "e", "model", "base_url", "dialect", "api_key", "api_key_env", "ca_file", "embedded", "price_card", "sell_at",
    "compare_with", "deployment", "request", "accelerator", "count", "precision", "gpu_hour", "tco", "capex_usd",
    "residual_usd", "extra_body", "headers", "periods", "rates", "windows", "accept_unverified", "h100-sxm", "x",
])  # fmt: skip
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 99), st.floats(), st.text(max_size=9), _NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=6),
    max_leaves=25,
)


@settings(max_examples=200, deadline=None)
@given(sections=st.dictionaries(st.sampled_from(["endpoints", "prices", "models", "gpu_hours", "calendars"]), _VALUES))
def test_no_values_break_the_checks(tmp_path_factory: pytest.TempPathFactory, sections: dict[str, object]) -> None:
    """Whatever stands in the file, it loads or says what is wrong with it."""
    path = write(tmp_path_factory.mktemp("any"), json.dumps(sections))
    try:
        load_providers(path)
    except InputError as error:
        assert error.mistakes


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    for path in (tmp_path / "none.yaml", tmp_path, tmp_path / "latin.yaml"):
        with pytest.raises(InputError, match=re.escape(str(path))):
            load_providers(path)


def test_an_empty_file_says_what_is_missing(tmp_path: Path) -> None:
    assert mistakes_of(tmp_path, "") == [
        f"{tmp_path}/providers.yaml: endpoints: found nothing; expected a mapping of names to endpoints"
    ]


# ---------------------------------------------------------------------------------------------------- shipped file


def test_the_shipped_file_has_the_promised_entries() -> None:
    providers = load_providers(SHIPPED)
    assert list(providers.endpoints) == [
        "simulator", "vllm", "ollama", "llamacpp", "sglang", "lmstudio", "deepseek-flash", "deepseek-pro", "openai",
        "together", "fireworks", "groq", "cerebras", "openrouter",
    ]  # fmt: skip
    ports = {"vllm": 8000, "ollama": 11434, "llamacpp": 8080, "sglang": 30000, "lmstudio": 1234}
    for name, port in ports.items():
        assert providers.endpoints[name].base_url == f"http://127.0.0.1:{port}/v1"
        assert providers.endpoints[name].api_key_env is None
    for name in list(providers.endpoints)[6:]:
        endpoint = providers.endpoints[name]
        assert endpoint.base_url.startswith("https://") and endpoint.api_key_env
        assert endpoint.price_card is not None or name == "openrouter"
        if endpoint.price_card:
            assert endpoint.price_card.model == endpoint.model, "the card is for this very model"
    peak = providers.endpoints["deepseek-pro"].price_card
    assert peak is not None and peak.periods[-1].windows[0].name == "peak"
    assert providers.endpoints["openai"].request.cap_field == "max_completion_tokens"


def test_the_simulator_entry_has_all_that_yield_needs() -> None:
    endpoint = load_providers(SHIPPED).endpoints["simulator"]
    assert (endpoint.embedded, endpoint.base_url) == ("demo", EMBEDDED_URL)
    assert endpoint.price_card is not None and endpoint.deployment is not None
    deployment = endpoint.deployment
    assert (deployment.usd_per_gpu_hour, deployment.price_as_of) == (2.95, "2026-11")
    assert (deployment.usd_per_gpu_hour_low, deployment.usd_per_gpu_hour_high) == (2.40, 3.99)


def test_the_simulator_entry_is_what_its_preset_simulates() -> None:
    endpoint = load_providers(SHIPPED).endpoints["simulator"]
    preset, deployment = PRESETS[endpoint.embedded], endpoint.deployment
    assert deployment is not None
    assert (deployment.accelerator.name, deployment.count, deployment.model.name, deployment.precision) == (
        preset.accelerator, preset.count, preset.model, preset.precision
    )  # fmt: skip
    assert (deployment.kv_precision, deployment.max_batch) == (preset.kv_precision, preset.max_batch)
    assert endpoint.model == preset.served_as


def test_every_commented_example_works_when_the_comment_is_taken_off(tmp_path: Path) -> None:
    head, tail = re.split(r"(?m)^# =+ your own rows.*$", SHIPPED.read_text(encoding="utf-8"))
    keys = "deployment|compare_with|accept_unverified|sell_at|price_card"
    head = re.sub(rf"(?m)^    # ((?:{keys}):.*|  \S.*)$", r"    \1", head)
    tail = re.sub(r"(?m)^# ((?:prices|gpu_hours):|  .*)$", r"\1", tail)
    providers = load_providers(write(tmp_path, head + tail))
    for name in ("vllm", "ollama", "llamacpp", "sglang", "lmstudio"):
        assert providers.endpoints[name].deployment is not None, name
    tco = providers.endpoints["ollama"].deployment
    assert tco is not None and tco.tco is not None and tco.tco.usd_per_kwh == 0.30
    assert "my-contract" in providers.catalog.prices and "our-h100" in providers.catalog.gpu_hours


def test_the_default_file_is_the_nearest_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_providers_path() == SHIPPED
    write(tmp_path, entry(LOCAL))
    assert default_providers_path() == Path("providers.yaml")
    assert list(load_providers().endpoints) == ["e"]


# ---------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (LOCAL + "dialect: vlm", "endpoints.e.dialect (line 5): found 'vlm'; expected a known word: "
         "did you mean vllm?"),
        (LOCAL + "dialekt: vllm", "endpoints.e.dialekt (line 5): found an unknown key; expected a key of this entry: "
         "did you mean dialect?"),
        ("base_url: http://127.0.0.1/v1", "endpoints.e.model (line 2): found nothing"),
        ("model: m", "endpoints.e.base_url (line 2): found nothing; expected where the API lives"),
        ("model: 5\nbase_url: http://127.0.0.1/v1", "expected a text: the model's name"),
        ("model: m\nbase_url: localhost:8000", "a URL with its scheme: http://localhost:8000"),
        ("model: m\nbase_url: ftp://host/v1", "http://host:port/v1 or https://host/v1"),
        ("model: m\nbase_url: http:///v1", "http://host:port/v1"),
        ("model: m\nbase_url: http://host:99999/v1", "impossible host or port"),
        ("model: m\nbase_url: https://u:p@host/v1", "a user or password (not shown)"),
        ("model: m\nbase_url: https://host/v1?x=1", "a plain base URL"),
        ("model: m\nbase_url: https://host/v1/chat/completions", "without /chat/completions"),
        ("model: m\nbase_url: http://10.0.0.1/v1\napi_key_env: KEY", "allow_http: true where the network is your own"),
        ("model: m\nbase_url: https://10.0.0.1/v1\napi_key_env: my key", "no variable's name (not shown"),
        ("model: m\nbase_url: https://10.0.0.1/v1\napi_key_env: abcdef0123456789abcdef", "(not shown"),
        ("model: m\nbase_url: https://h/v1\nca_file: none.pem", "a file that exists"),
        (LOCAL + "ca_file: x.pem", "a CA file for an http:// address"),
        ("embedded: demo\nmodel: m\nbase_url: http://127.0.0.1/v1", "embedded alone"),
        (LOCAL + "price_card: deepseek-flsh", "did you mean deepseek-flash"),
        (LOCAL + "sell_at: nobody", "a price card of the catalog: one of"),
        (LOCAL + "compare_with: [groq-llama-3.3-70b, groq]", "endpoints.e.compare_with.1 (line 5)"),
        (LOCAL + "price_card: deepseek-v4-pro-launch-low", "which the catalog marks conflicting"),
        (LOCAL + GPU.replace("h100-sxm", "h100") % "", "did you mean h100-sxm"),
        (LOCAL + GPU.replace("llama-3.1-8b", "llama-3.1-80b") % "", "did you mean llama-3.1-8b"),
        (LOCAL + GPU.replace("count: 1", "count: 0") % "", "endpoints.e.deployment.count (line 5): found 0; "
         "expected a number, at least 1"),
        (LOCAL + GPU.replace("h100-sxm", "rtx-4090") % "", "which the catalog marks unverified"),
        (LOCAL + GPU.replace("h100-sxm", "a100-80-sxm").replace("bf16", "fp8") % "", "fp8, for which a100-80-sxm has "
         "no rate; expected one of bf16, fp16, int8, mxfp4, q4_k_m"),
        (LOCAL + GPU.replace("bf16", "int3") % "", "found 'int3'; expected a known word"),
        (LOCAL + GPU % ", usd_per_gpu_hour: -2", "a number, at least 0"),
        (LOCAL + GPU % ", usd_per_gpu_hour: two", "a number"),
        (LOCAL + GPU % ", usd_per_gpu_hour: 2, tco: {capex_usd: 1, lifetime_years: 1}",
         "found usd_per_gpu_hour and tco; expected one of"),
        (LOCAL + GPU % ", gpu_hour: h200-sxm-rent", "an hour of h200-sxm; expected an hour of 'h100-sxm'"),
        (LOCAL + GPU % ", gpu_hour: h100", "did you mean h100-sxm-"),
        (LOCAL + GPU % ", tco: {capex_usd: 1, lifetime_years: 0}", "more than 0"),
        (LOCAL + GPU % ", tco: {capex_usd: 1, lifetime_years: 3, residual_usd: 2}", "at most capex_usd, 1"),
        (LOCAL + GPU % ", tco: {capex_usd: 1, lifetime_years: 3, pue: 0.9}", "at least 1"),
        (LOCAL + GPU % ", utilisation: 40", "at most 1"),
        (LOCAL + GPU % ", power: {watts: 0, boundary: wall}", "more than 0"),
        (LOCAL + GPU % ", power: {watts: 700}", "boundary"),
        (LOCAL + GPU % ", power: {watts: 700, boundary: roof}", "found 'roof'; expected a known word"),
        (LOCAL + GPU % ", power: {watts: 700, boundary: wall, idle_watts: 900}", "at most watts, 700"),
        (LOCAL + GPU % ", prefill_count: 9", "less than count"),
        (LOCAL + GPU % ", split: price", "price_card or sell_at in this entry"),
        (LOCAL + "request: {cap: max_tokens}", "did you mean cap_field?"),
        (LOCAL + "request: {include_usage: yes}", "true or false"),
        (LOCAL + "request: {extra_body: {model: x}}", "a field that trueyield writes itself"),
        (LOCAL + "request: {headers: {Host: x}}", "a header name that trueyield does not write itself"),
        (LOCAL + 'request: {headers: {X-A: "a\\nb"}}', "one line of plain ASCII"),
        (LOCAL + "request: none", "a mapping"),
    ],
)  # fmt: skip
def test_one_mistake_is_told_plainly(tmp_path: Path, fields: str, message: str) -> None:
    found = mistakes_of(tmp_path, entry(fields))
    assert len(found) == 1, found
    assert message in found[0]


def test_every_mistake_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    found = mistakes_of(
        tmp_path,
        "endpoint: {}\nendpoints:\n  a: {model: 1, dialect: x, base_url: host, price_card: none}\n  b: text\n  c:\n"
        "    model: m\n    base_url: https://h/v1\n    deployment: {accelerator: h1, count: -1, precision: fp9}\n"
        "prices: {p: {provider: x}}\n",
    )
    where = [line.split(": ")[1] for line in found]
    assert where == [
        "endpoint (line 1)", "endpoints.a.model (line 3)", "endpoints.a.dialect (line 3)",
        "endpoints.a.base_url (line 3)", "endpoints.a.price_card (line 3)", "endpoints.b (line 4)",
        "endpoints.c.deployment.count (line 8)", "endpoints.c.deployment.model (line 8)",
        "endpoints.c.deployment.precision (line 8)", "endpoints.c.deployment.accelerator (line 8)",
        "prices.p.source (line 9)", "prices.p.as_of (line 9)", "prices.p.model (line 9)", "prices.p.periods (line 9)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        LOCAL + GPU.replace("h100-sxm", "rtx-4090").replace("bf16", "q4_k_m") % "" + "\naccept_unverified: true",
        LOCAL + "price_card: deepseek-v4-pro-launch-low\naccept_unverified: true",
        LOCAL + GPU.replace("bf16", "mxfp4") % "",
        LOCAL + "api_key_env: KEY",  # loopback: the key stays on this machine
        "model: m\nbase_url: http://localhost:8000/v1\napi_key_env: KEY",
        "model: m\nbase_url: http://[::1]:8000/v1\napi_key_env: KEY",
        "model: m\nbase_url: http://10.0.0.1/v1\napi_key_env: KEY\nallow_http: true",
        "model: m\nbase_url: http://10.0.0.1/v1",
    ],
)
def test_what_was_asked_for_is_allowed_and_said(tmp_path: Path, fields: str) -> None:
    found = load_providers(write(tmp_path, entry(fields))).endpoints["e"]
    assert bool(found.notes) is ("accept_unverified" in fields)


@pytest.mark.parametrize("precision", ["fp16", "bf16", "q4_k_m"])
def test_a_cpu_without_half_precision_multiplies_in_fp32(tmp_path: Path, precision: str) -> None:
    row = "hbm_gb: 25, hbm_tb_per_s: 0.0114, tflops: {fp32: 0.165}, source: measured, as_of: 2026-11-21"
    text = entry(LOCAL + GPU.replace("h100-sxm", "my-cpu").replace("bf16", precision) % "")
    deployment = (
        load_providers(write(tmp_path, f"{text}accelerators:\n  my-cpu: {{{row}}}\n")).endpoints["e"].deployment
    )
    assert deployment is not None
    assert math_rate(deployment.accelerator, deployment.precision) == pytest.approx(1.65e11)


def test_a_deployment_is_resolved_to_rows(tmp_path: Path) -> None:
    fields = LOCAL + GPU % ", tco: {capex_usd: 40000, lifetime_years: 4}, max_batch: 64, kv_precision: fp8"
    deployment = load_providers(write(tmp_path, entry(fields))).endpoints["e"].deployment
    assert deployment is not None and deployment.tco is not None
    assert (deployment.accelerator.name, deployment.model.name) == ("h100-sxm", "llama-3.1-8b")
    assert (deployment.usd_per_gpu_hour, deployment.max_batch, deployment.kv_precision) == (None, 64, "fp8")
    assert deployment.price_basis == "total cost of ownership, declared inputs"


def test_a_ca_file_is_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "own.pem").write_text("x")
    path = write(tmp_path, entry("model: m\nbase_url: https://h/v1/\nca_file: own.pem"))
    endpoint = load_providers(path).endpoints["e"]
    assert (endpoint.ca_file, endpoint.base_url) == (str(tmp_path / "own.pem"), "https://h/v1")


def test_an_owned_machine_knows_its_power_and_the_rent_it_forgoes(tmp_path: Path) -> None:
    tco = ", tco: {capex_usd: 40000, lifetime_years: 4, network_share: 0.1}, prefill_count: 1"
    power = ", power: {watts: 9000, boundary: node, idle_watts: 2000, usd_per_kwh: 0.1, kind: measured}"
    fields = LOCAL + GPU.replace("count: 1", "count: 8") % (tco + power)
    deployment = load_providers(write(tmp_path, entry(fields))).endpoints["e"].deployment
    assert deployment is not None and deployment.rent is not None and deployment.tco is not None
    assert (deployment.rent.name, deployment.tco.network_share, deployment.prefill_count) == ("h100-sxm-rent", 0.1, 1)
    assert deployment.power == Power(watts=9000, boundary="node", idle_watts=2000, usd_per_kwh=0.1, kind="measured")


def test_thoughts_go_back_where_an_entry_says_so_and_never_to_deepseek(tmp_path: Path) -> None:
    keeps = "request: {keeps_reasoning: true}\n"
    assert load_providers(write(tmp_path, entry(LOCAL + keeps))).endpoints["e"].request.keeps_reasoning
    assert not load_providers(write(tmp_path, entry(LOCAL))).endpoints["e"].request.keeps_reasoning
    (told,) = mistakes_of(tmp_path, entry(LOCAL + "dialect: deepseek\n" + keeps))
    assert "request.keeps_reasoning" in told and "takes no thoughts back" in told
    (told,) = mistakes_of(tmp_path, entry(LOCAL + "request: {keeps_reasoning: 1}\n"))
    assert "true or false" in told
