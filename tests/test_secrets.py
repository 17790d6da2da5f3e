"""No key is read from anywhere but its own variable, and none is ever shown or sent to another endpoint."""

import ast
import json
import os
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from harness.config import (
    load_providers,
    looks_like_key,
    read_key,
    resolve_endpoint,
    scrub,
)
from harness.config.endpoints import Providers
from harness.errors import InputError
from harness.providers import Endpoint
from tests.provider_files import LOCAL, REPOSITORY, SHIPPED, entry, mistakes_of

#: Shaped like real keys, found nowhere else: if one of these shows up in a message, a secret leaked.
CANARIES = ("sk-canary0123456789abcdef", "gsk_canary0123456789", "Bearer canary0123456789", "tgp_v1_canary01234567")


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


def test_nothing_here_needs_a_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(variable)
    assert load_providers(SHIPPED).endpoints
