"""providers.yaml, scenarios, flags and environment: every mistake at once, and no secret ever shown."""

import ast
import json
import os
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config import (
    default_providers_path,
    list_scenarios,
    load_providers,
    load_scenario,
    looks_like_key,
    read_key,
    resolve_endpoint,
    scrub,
)
from harness.config.documents import parse_document
from harness.config.endpoints import EMBEDDED_URL, Providers
from harness.config.scenarios import SLO_METRICS
from harness.errors import InputError
from harness.measure.metrics import METRICS
from harness.providers import Endpoint, Power
from harness.simulator.presets import PRESETS
from harness.theory import math_rate

REPOSITORY = Path(__file__).parents[1]
SHIPPED = REPOSITORY / "providers.yaml"
#: Shaped like real keys, found nowhere else: if one of these shows up in a message, a secret leaked.
CANARIES = ("sk-canary0123456789abcdef", "gsk_canary0123456789", "Bearer canary0123456789", "tgp_v1_canary01234567")


def write(folder: Path, text: str, name: str = "providers.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def mistakes_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_providers(write(folder, text))
    return [str(mistake) for mistake in caught.value.mistakes]


def entry(fields: str) -> str:
    """One entry `e`, its fields one a line."""
    return "endpoints:\n  e:\n" + "".join(f"    {line}\n" for line in fields.splitlines())


LOCAL = "base_url: http://127.0.0.1:8000/v1\nmodel: m\n"
GPU = "deployment: {accelerator: h100-sxm, count: 1, model: llama-3.1-8b, precision: bf16%s}"


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


# ---------------------------------------------------------------------------------------------------- secrets


@pytest.mark.parametrize("canary", CANARIES)
@pytest.mark.parametrize(
    "fields",
    [
        "{local}api_key: {key}", "{local}api_key_env: {key}", "{local}key: {key}", "{local}ca_file: {key}",
        "model: {key}\nbase_url: https://h/v1", "model: m\nbase_url: https://h/{key}",
        "model: m\nbase_url: https://{key}@h/v1", "{local}request: {{headers: {{Authorization: {key}}}}}",
        "{local}request: {{headers: {{X-Own: {key}}}}}", "{local}request: {{extra_body: {{a: [{{b: {key}}}]}}}}",
        "{local}price_card: {key}", "{local}dialect: {key}", "{local}{key}: x", "{local}deployment: {key}",
        "{local}deployment: {{accelerator: {key}, count: {key}}}", "{local}allow_http: [{key}]",
        "{local}api_key: {key}\napi_key: {key}", "{local}x: [{key}", "{local}y: *{key}", "{local}embedded: {key}",
    ],
)  # fmt: skip
def test_a_pasted_key_is_refused_and_never_shown(tmp_path: Path, fields: str, canary: str) -> None:
    found = mistakes_of(tmp_path, entry(fields.format(local=LOCAL, key=canary)))
    assert "canary" not in "\n".join(found)


@pytest.mark.parametrize("field", ["api_key", "password", "Authorization", "token", "x-api-key"])
def test_a_secret_without_a_known_shape_is_refused_by_its_name(tmp_path: Path, field: str) -> None:
    for value in ("plainwords", "12345678901"):
        for fields in (f"{field}: {value}", f"request: {{headers: {{{field}: {value}}}}}"):
            found = "\n".join(mistakes_of(tmp_path, entry(LOCAL + fields)))
            assert value not in found and "api_key_env" in found


def test_names_of_models_are_no_keys() -> None:
    for name in load_providers(SHIPPED).endpoints.values():
        assert not looks_like_key(name.model)
    for text in (
        "deepseek-ai/DeepSeek-R1-Distill-Llama-70B",
        "task-force-0123456789",
        "sk-8b",
        "http://disk-1234567890/",
    ):
        assert not looks_like_key(text), text


def test_scrub_takes_out_the_key_and_what_looks_like_one() -> None:
    text = scrub('{"error":"Incorrect API key provided: sk-canary0123456789; yours: 00ff00ff"}', "00ff00ff")
    assert text == '{"error":"Incorrect API key provided: [key]; yours: [key]"}'
    assert scrub("nothing here", None) == "nothing here"


def endpoint(**changes: object) -> Endpoint:
    return Endpoint(name="e", base_url="https://h/v1", model="m", **changes)  # type: ignore[arg-type]


def test_a_key_comes_from_its_own_variable_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_PROVIDER_KEY", "canary-key")
    assert read_key(endpoint(api_key_env="MY_PROVIDER_KEY")) == "canary-key"
    assert read_key(endpoint()) is None
    assert "canary-key" not in json.dumps(asdict(endpoint(api_key_env="MY_PROVIDER_KEY")))


@pytest.mark.parametrize(
    ("value", "problem"),
    [(None, "not set"), ("", "empty"), ("  ", "empty"), ("canary\nX: y", "line break"), ("canary key", "spaces"),
     ("canaryü", "no HTTP header"), ("canary\x7f", "no HTTP header")],
)  # fmt: skip
def test_a_key_that_cannot_be_one(monkeypatch: pytest.MonkeyPatch, value: str | None, problem: str) -> None:
    monkeypatch.delenv("MY_PROVIDER_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_PROVIDER_KEY", value)
    with pytest.raises(InputError, match=problem) as caught:
        read_key(endpoint(api_key_env="MY_PROVIDER_KEY"))
    assert "canary" not in str(caught.value) + caught.value.hint
    assert "MY_PROVIDER_KEY" in str(caught.value) and caught.value.exit_code == 2


def test_only_one_module_reads_keys_and_one_reads_yaml() -> None:
    """Who knows the variable's name and reads the environment could send a key; who imports yaml parses files."""
    readers, parsers = [], []
    asks_for_a_key = "harness/cli/simulate.py"  # a server's own guard: it sends none
    for path in [*REPOSITORY.glob("harness/**/*.py"), *REPOSITORY.glob("loadtests/**/*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        if "api_key_env" in names and names & {"environ", "getenv", "environb"}:
            readers.append(path.relative_to(REPOSITORY).as_posix())
        if any(
            "yaml" in [alias.name for alias in node.names] for node in ast.walk(tree) if isinstance(node, ast.Import)
        ):
            parsers.append(path.relative_to(REPOSITORY).as_posix())
    assert [name for name in readers if name != asks_for_a_key] == ["harness/config/keys.py"]
    assert parsers == ["harness/config/documents.py"]


# ---------------------------------------------------------------------------------------------------- choosing


@pytest.fixture(scope="module")
def providers() -> Providers:
    return load_providers(SHIPPED)


@pytest.mark.parametrize(
    ("url", "name", "base_url"),
    [
        ("http://127.0.0.1:9000/v1", "127.0.0.1:9000", "http://127.0.0.1:9000/v1"),
        ("http://gpu-7/v1/", "gpu-7:80", "http://gpu-7/v1"),
        ("https://api.example.com/v1", "api.example.com:443", "https://api.example.com/v1"),
        ("http://[::1]:8000", "[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_a_url_needs_no_entry(providers: Providers, url: str, name: str, base_url: str) -> None:
    found = resolve_endpoint(url, "m", providers)
    assert found == Endpoint(name=name, base_url=base_url, model="m")


def test_a_url_never_takes_the_key_of_an_entry(providers: Providers) -> None:
    found = resolve_endpoint("https://api.deepseek.com/v1", "deepseek-flash", providers)
    assert (found.api_key_env, found.price_card, found.deployment) == (None, None, None)
    assert len(found.notes) == 2 and "--endpoint deepseek-flash" in found.notes[0]


@pytest.mark.parametrize(
    ("name", "model", "message"),
    [
        ("olama", None, "did you mean ollama?"),
        ("http://127.0.0.1:9000/v1", None, "--model: found nothing"),
        ("http://127.0.0.1:9000/v1", "", "--model: found nothing"),
        ("localhost:8000", "m", "http://localhost:8000"),
        ("ftp://h/v1", "m", "http://host:port/v1"),
        ("https://u:canary@h/v1", "m", "not shown"),
        ("sk-canary0123456789abcdef", "m", "not shown"),
    ],
)
def test_a_choice_that_leads_nowhere(providers: Providers, name: str, model: str | None, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        resolve_endpoint(name, model, providers)
    assert "canary" not in str(caught.value)


def test_another_model_of_an_entry_takes_no_wrong_price(providers: Providers) -> None:
    assert resolve_endpoint("openai", None, providers).price_card is providers.catalog.prices["openai-gpt-5.4"]
    assert resolve_endpoint("openai", "gpt-5.4", providers) is providers.endpoints["openai"]
    other = resolve_endpoint("openai", "gpt-4o", providers)
    assert (other.model, other.price_card) == ("gpt-4o", providers.catalog.prices["openai-gpt-4o"])
    assert other.api_key_env == "OPENAI_API_KEY"
    unknown = resolve_endpoint("openai", "gpt-99", providers)
    assert unknown.price_card is None and "is for gpt-5.4, not for gpt-99" in unknown.notes[0]
    # Declared for a server of one's own, the card is not tied to the server's name of the model.
    own = resolve_endpoint("simulator", "renamed", providers)
    assert own.price_card is not None and own.deployment is not None and own.notes == ()


# ---------------------------------------------------------------------------------------------------- scenarios


def test_shipped_scenarios() -> None:
    scenarios = {scenario.name: scenario for scenario in list_scenarios()}
    assert {"quick", "reasoning"} <= set(scenarios)
    reasoning = scenarios["reasoning"]
    assert reasoning.workload.families == ("arithmetic", "countdown") and reasoning.workload.max_tokens == 2048
    assert set(reasoning.slos) == {"ttft_s", "tpot_s"} and reasoning.gates == ("share(failed) < 0.05",)
    assert scenarios["quick"].run_time_s <= 20
    saturate = scenarios["saturate"].arrivals
    assert (saturate.kind, saturate.open_loop, saturate.users_ask) == ("queued", False, False)
    assert saturate.ahead and saturate.max_in_flight, "an endpoint without a ceiling must not be asked for ever more"
    assert scenarios["trace"].arrivals.time_scale == 10 and scenarios["trace"].arrivals.open_loop


SCENARIO = "description: d\nworkload: {families: [arithmetic]}\n"


@pytest.mark.parametrize(
    ("gates", "expected"),
    [
        ("", ("share(failed) < 0.05",)),
        ("gates: ['p90(ttft_s) < 1']\n", ("p90(ttft_s) < 1", "share(failed) < 0.05")),
        ("gates: ['share(failed) < 0.5']\n", ("share(failed) < 0.5",)),
    ],
)
def test_failures_have_a_limit_unless_it_is_changed(tmp_path: Path, gates: str, expected: tuple[str, ...]) -> None:
    found = load_scenario(write(tmp_path, SCENARIO + gates, "mine.yaml"))
    assert (found.name, found.gates) == ("mine", expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workload: {families: [arithmetic]}\n", "description"),
        ("description: d\n", "workload"),
        ("description: d\nworkload: {families: []}\n", "workload.families (line 2)"),
        ("description: d\nworkload: {families: [arithmetik]}\n", "did you mean arithmetic"),
        ("description: d\nworkload: {families: [arithmetic], max_tokens: 0}\n", "at least 1"),
        ("description: d\nworkload: {families: [arithmetic], cache: warm}\n", "found 'warm'"),
        (SCENARIO + "user: 3\n", "did you mean users?"),
        (SCENARIO + "users: 0\n", "at least 1"),
        (SCENARIO + "slos: {ttft: 1}\n", "did you mean ttft_s"),
        (SCENARIO + "slos: {ttft_s: 0}\n", "more than 0"),
        (SCENARIO + "gates: ['ttft below 1']\n", "agg(metric) op number"),
        (SCENARIO + "run_time_s: 5\nwarm_up_s: 5\n", "a warm-up shorter than run_time_s"),
        (SCENARIO + "run_time_s: 60s\n", "a number"),
    ],
)
def test_a_scenario_that_cannot_be_run(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        load_scenario(write(tmp_path, text, "mine.yaml"))


def test_arrivals_of_a_scenario(tmp_path: Path) -> None:
    text = SCENARIO + "users: 4\narrivals: {kind: gamma, rate: 6, cv: 3, curve: deepseek-day-6-nodes, max_in_flight: 9}"
    arrivals = load_scenario(write(tmp_path, text, "mine.yaml")).arrivals
    assert (arrivals.kind, arrivals.rate_per_user, arrivals.cv, arrivals.max_in_flight) == ("gamma", 1.5, 3.0, 9)
    assert len(arrivals.curve_levels) == 96 and max(arrivals.curve_levels) == 278
    closed = load_scenario(write(tmp_path, SCENARIO, "mine.yaml")).arrivals
    assert (closed.kind, closed.open_loop) == ("closed", False)
    text = SCENARIO + "arrivals: {kind: trace, trace: t.jsonl, time_scale: 10}"
    assert load_scenario(write(tmp_path, text, "mine.yaml")).arrivals.trace == str(tmp_path / "t.jsonl")
    queued = load_scenario(write(tmp_path, SCENARIO + "arrivals: {kind: queued, ahead: 3}", "mine.yaml")).arrivals
    assert (queued.ahead, queued.max_in_flight) == (3, 1024)
    text = SCENARIO + "arrivals: {kind: constant, rate: 1, levels: [[0, 1], [9, 1], [9, 4], [20, 0]]}"
    assert load_scenario(write(tmp_path, text, "mine.yaml")).arrivals.levels == ((0, 1), (9, 1), (9, 4), (20, 0))


@pytest.mark.parametrize(
    ("arrivals", "message"),
    [
        ("{kind: bursty}", "arrivals.kind"),
        ("{rate: 5}", "found rate with kind closed; expected kind: poisson or constant or gamma"),
        ("{kind: queued}", "found no ahead; expected how many calls always wait"),
        ("{kind: queued, ahead: 8, rate: 3}", "found rate with kind queued"),
        ("{kind: closed, ahead: 8}", "found ahead with kind closed; expected kind: queued"),
        ("{kind: poisson}", "found no rate; expected requests per second"),
        ("{kind: trace, rate: 3}", "found no trace"),
        ("{kind: poisson, rate: -1}", "arrivals.rate"),
        ("{kind: poisson, rate: 1, cv: 2}", "found cv with kind poisson; expected kind: gamma"),
        ("{kind: poisson, rate: 1, curve: nights}", "a demand curve of the catalog"),
        ("{kind: poisson, rate: 1, levels: [[5, 1], [2, 1]]}", "found seconds that go back"),
        ("{kind: poisson, rate: 1, levels: [[5, 0]]}", "found only zeros"),
        ("{kind: poisson, rate: 1, levels: [[5]]}", "arrivals.levels"),
        ("{kind: poisson, rate: 1, levels: [[0, 1]], curve: flat}", "found levels and curve; expected one of them"),
    ],
)
def test_arrivals_that_mean_nothing(tmp_path: Path, arrivals: str, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        load_scenario(write(tmp_path, SCENARIO + f"arrivals: {arrivals}", "mine.yaml"))


def test_a_scenario_by_a_wrong_name() -> None:
    with pytest.raises(InputError, match="did you mean reasoning"):
        load_scenario("reasonin")
    with pytest.raises(InputError, match=r"none\.yaml"):
        load_scenario("none.yaml")


def test_slos_are_metrics_of_one_request() -> None:
    assert set(SLO_METRICS) <= set(METRICS)


def test_nothing_here_needs_a_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(variable)
    assert load_providers(SHIPPED).endpoints


def test_an_owned_machine_knows_its_power_and_the_rent_it_forgoes(tmp_path: Path) -> None:
    tco = ", tco: {capex_usd: 40000, lifetime_years: 4, network_share: 0.1}, prefill_count: 1"
    power = ", power: {watts: 9000, boundary: node, idle_watts: 2000, usd_per_kwh: 0.1, kind: measured}"
    fields = LOCAL + GPU.replace("count: 1", "count: 8") % (tco + power)
    deployment = load_providers(write(tmp_path, entry(fields))).endpoints["e"].deployment
    assert deployment is not None and deployment.rent is not None and deployment.tco is not None
    assert (deployment.rent.name, deployment.tco.network_share, deployment.prefill_count) == ("h100-sxm-rent", 0.1, 1)
    assert deployment.power == Power(watts=9000, boundary="node", idle_watts=2000, usd_per_kwh=0.1, kind="measured")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("isl: lognormal(1000,0.4)", None),
        ("isl: 512", None),
        ("isl: 800\n  cache: share:0.56", None),
        ("isl: gamma(1)", "lognormal(mean,sigma)"),
        ("osl: uniform(9,5)", "lognormal(mean,sigma)"),
        ("isl: 512\n  isl_tokens: 5", "one of the two"),
        ("cache: share:0.5", "isl: as well"),
        ("isl: 800\n  cache: share:1.5", "share below 1"),
    ],
)
def test_lengths_and_cache_of_a_workload(tmp_path, lines, expected):
    path = tmp_path / "s.yaml"
    path.write_text(f"description: d\nworkload:\n  families: [arithmetic]\n  {lines}\n")
    if expected is None:
        workload = load_scenario(path).workload
        assert workload.isl in ("lognormal(1000,0.4)", "512", "800") and workload.isl_tokens in (1000, 512, 800)
        return
    with pytest.raises(InputError) as caught:
        load_scenario(path)
    assert expected in str(caught.value) and "line " in str(caught.value)


def test_conversations_of_a_workload(tmp_path: Path) -> None:
    text = "workload: {families: [units_zh], turns: 5, think_time: 0.5, system: 900}"
    workload = load_scenario(write(tmp_path, f"description: d\n{text}\n", "mine.yaml")).workload
    assert (workload.turns, workload.think_time, workload.system) == ("5", "0.5", 900)
    text = "workload: {families: [units_zh], turns: 'uniform(3,8)', think_time: 'lognormal(8,0.6)', system: Be brief.}"
    workload = load_scenario(write(tmp_path, f"description: d\n{text}\n", "mine.yaml")).workload
    assert (workload.turns, workload.think_time, workload.system) == ("uniform(3,8)", "lognormal(8,0.6)", "Be brief.")
    plain = load_scenario(write(tmp_path, SCENARIO, "mine.yaml")).workload
    assert (plain.turns, plain.think_time, plain.system) == (None, None, None)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("turns: 0", "found 0; expected turns of a conversation"),
        ("turns: 2.5", "found 2.5; expected turns of a conversation"),
        ("turns: true", "found True; expected turns of a conversation"),
        ("turns: uniform(8,3)", "found 'uniform(8,3)'; expected turns of a conversation"),
        ("turns: [3]", "found a list; expected turns of a conversation"),
        ("think_time: -1", "found -1; expected before a user asks again: seconds"),
        ("think_time: soon", "found 'soon'; expected before a user asks again: seconds"),
        ("think_time: 8s", "found '8s'; expected before a user asks again: seconds"),
        ("think_time: 99999", "at most an hour"),
        ("think_time: {mean: 8}", "found a mapping; expected before a user asks again"),
        ("system: 0", "found 0; expected a system prompt: its text, or its length in tokens"),
        ("system: ''", "found ''; expected a system prompt"),
        ("system: true", "found True; expected a system prompt"),
        ("turn: 3", "found an unknown key; expected a key of this entry: did you mean turns"),
        ("isl: 80\n  cache: share:0.5\n  turns: 3", "found a share with turns; expected cold or as_is"),
        ("isl: 80\n  cache: share:0.5\n  system: 9", "found a share with system; expected cold or as_is"),
    ],
)
def test_conversations_that_mean_nothing_are_told_once(tmp_path: Path, keys: str, message: str) -> None:
    text = f"description: d\nworkload:\n  families: [arithmetic]\n  {keys}\n"
    with pytest.raises(InputError) as caught:
        load_scenario(write(tmp_path, text, "mine.yaml"))
    (mistake,) = caught.value.mistakes
    assert message in str(mistake) and "line " in mistake.key


def test_a_file_brings_its_own_system_messages(tmp_path: Path) -> None:
    write(tmp_path, '{"prompt": "hi"}\n', "rows.jsonl")
    text = "description: d\nworkload: {file: rows.jsonl, format: jsonl, system: Be brief.}\n"
    with pytest.raises(InputError, match="found a file and a system prompt; expected one of the two"):
        load_scenario(write(tmp_path, text, "mine.yaml"))
    assert load_scenario(write(tmp_path, text.replace("system: Be brief.", "turns: 3"), "mine.yaml")).workload.turns


@pytest.mark.parametrize(
    ("waits", "arrivals", "told"),
    [
        ("turns: 3, think_time: 2", "kind: poisson, rate: 3", []),
        ("turns: 3", "kind: gamma, rate: 3, curve: deepseek-day-6-nodes", []),
        ("turns: 3", "kind: closed", []),
        ("think_time: 2", "kind: closed", []),
        ("think_time: 2", "kind: constant, rate: 3", ["think_time with arrivals of kind constant; expected kind: cl"]),
        (
            "turns: 3, think_time: 2",
            "kind: queued, ahead: 3",
            ["turns with arrivals of kind queued; expected kind: closed, or poisson", "think_time with arrivals of"],
        ),
    ],
)
def test_conversations_may_begin_at_planned_times_and_nobody_waits_for_single_requests(
    tmp_path: Path, waits: str, arrivals: str, told: list[str]
) -> None:
    text = f"description: d\nworkload: {{families: [arithmetic], {waits}}}\narrivals: {{{arrivals}}}\n"
    if not told:
        assert load_scenario(write(tmp_path, text, "mine.yaml")).workload.families
        return
    with pytest.raises(InputError) as caught:
        load_scenario(write(tmp_path, text, "mine.yaml"))
    found = [str(mistake) for mistake in caught.value.mistakes]
    assert len(found) == len(told) and all(part in each for part, each in zip(told, found, strict=True))


def test_thoughts_go_back_where_an_entry_says_so_and_never_to_deepseek(tmp_path: Path) -> None:
    keeps = "request: {keeps_reasoning: true}\n"
    assert load_providers(write(tmp_path, entry(LOCAL + keeps))).endpoints["e"].request.keeps_reasoning
    assert not load_providers(write(tmp_path, entry(LOCAL))).endpoints["e"].request.keeps_reasoning
    (told,) = mistakes_of(tmp_path, entry(LOCAL + "dialect: deepseek\n" + keeps))
    assert "request.keeps_reasoning" in told and "takes no thoughts back" in told
    (told,) = mistakes_of(tmp_path, entry(LOCAL + "request: {keeps_reasoning: 1}\n"))
    assert "true or false" in told
