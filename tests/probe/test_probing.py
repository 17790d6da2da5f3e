"""A probe says what answers, how it speaks, and prints an entry that the configuration takes as it stands."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_servers import HANGS_UP, Fake, deepseek, hosted_reasoner, lm_studio, ollama, plain_chat, running, sglang

from harness.cli import cli
from harness.config import load_catalog, load_providers
from harness.errors import InputError, PreflightError
from harness.load.client import Client
from harness.probe.cards import guess_card
from harness.probe.entry import Draft, Hardware, write_entry
from harness.probe.findings import Probe, Server, Serving
from harness.probe.probing import MOST_CALLS, MOST_OUTPUT_TOKENS, Subject, probe
from harness.providers import Endpoint, RequestOptions
from tests.endtoend.command import simulator


@pytest.fixture(scope="module")
def client():  # type: ignore[no-untyped-def]
    with Client() as one:
        yield one


def asked(fake_or_url: Fake | str, client: Client, model: str = "", key: str | None = None, **more: object) -> Probe:
    url = fake_or_url if isinstance(fake_or_url, str) else fake_or_url.url
    endpoint = Endpoint(name="here", base_url=url, model=model, **more)  # type: ignore[arg-type]
    return probe(Subject(endpoint=endpoint, key=key, catalog=load_catalog()), client)


def values(found: Probe) -> dict[str, str | None]:
    return {finding.name: finding.value for finding in found.findings}


def round_trip(entry: str, folder: Path) -> Endpoint:
    path = folder / "providers.yaml"
    path.write_text(entry)
    (endpoint,) = load_providers(path).endpoints.values()
    return endpoint


def test_ollama_says_that_it_is_a_distill_and_how_long_loading_took(client: Client, tmp_path: Path) -> None:
    with running(ollama()) as fake:
        found = asked(fake, client)
    told = values(found)
    assert told["server"] == "Ollama 0.32.15"
    assert told["what it is"] == "qwen2 32.8B Q4_K_M, a distill"
    assert told["model card"] == "r1-distill-qwen-32b"
    assert told["precision"] == "q4_k_m"
    assert told["context"] == "131,072"
    assert told["cold start"] == "load 3.21 s, read 0.02 s, write 0.03 s"
    assert told["reasoning"] == "in delta.reasoning"
    endpoint = round_trip(found.entry, tmp_path)
    assert (endpoint.base_url, endpoint.model, endpoint.dialect) == (found.base_url, "deepseek-r1:32b", "ollama")


def test_sglang_fills_the_deployment(client: Client, tmp_path: Path) -> None:
    with running(sglang()) as fake:
        endpoint = Endpoint(name="sg", base_url=fake.url, model="")
        catalog = load_catalog()
        hardware = Hardware(accelerator=catalog.accelerators["h200-sxm"])
        found = probe(Subject(endpoint=endpoint, key=None, catalog=catalog, hardware=hardware), client)
    deployment = round_trip(found.entry, tmp_path).deployment
    assert deployment is not None
    assert (deployment.accelerator.name, deployment.count, deployment.model.name) == ("h200-sxm", 2, "qwen3-32b")
    assert (deployment.precision, deployment.kv_precision, deployment.max_batch) == ("bf16", "fp8", 48)
    assert deployment.memory_share == 0.88


def test_lm_studio(client: Client, tmp_path: Path) -> None:
    with running(lm_studio()) as fake:
        told = values(found := asked(fake, client))
    assert (told["server"], told["model card"]) == ("LM Studio", "r1-distill-qwen-7b")
    assert (told["what it is"], told["context"]) == ("qwen2 Q4_K_M, a distill", "8,192")
    assert round_trip(found.entry, tmp_path).dialect == "openai"


def test_a_hosted_reasoner_with_the_other_cap_field(client: Client, tmp_path: Path) -> None:
    with running(hosted_reasoner()) as fake:
        found = asked(fake, client, key="k-1234567", api_key_env="SOME_KEY")
        assert {authorization for _, _, authorization in fake.seen} == {"Bearer k-1234567"}
    told = values(found)
    assert told["cap field"] == "max_completion_tokens, kept (24 of 24)"
    assert told["other cap field"] == "max_tokens refused"
    assert told["reasoning"] == "hidden: counted in usage, not sent"
    assert told["prefix cache"] is not None and told["prefix cache"].startswith("cached_tokens 0, then 1024 of ")
    assert told["model card"] == "gpt-oss-120b"
    endpoint = round_trip(found.entry, tmp_path)
    assert endpoint.request.cap_field == "max_completion_tokens" and endpoint.api_key_env == "SOME_KEY"
    assert "k-1234567" not in json.dumps(found.document())


def test_deepseek_by_its_usage(client: Client, tmp_path: Path) -> None:
    with running(deepseek()) as fake:
        found = asked(fake, client)
    told = values(found)
    assert (told["usage"], told["usage unasked"]) == ("on the finish event",) * 2
    assert told["reasoning"] == "in delta.reasoning_content"
    assert round_trip(found.entry, tmp_path).dialect == "deepseek"


def test_what_a_server_ignores_or_refuses_is_said(client: Client) -> None:
    def chat(body):  # type: ignore[no-untyped-def]
        if "stream_options" in body:
            return 422, {"detail": "stream_options: extra fields not permitted"}
        return plain_chat({**body, "max_completion_tokens": 16})

    with running(Fake({"/v1/models": (200, {"data": [{"id": "m"}]})}, chat)) as fake:
        found = asked(fake, client)
    told = values(found)
    assert told["usage"] is None and not found.request.include_usage
    assert "include_usage: false" in found.entry
    assert found.spent.calls_without_usage >= 4


def test_a_question_that_met_a_closing_connection_is_asked_once_more(client: Client) -> None:
    """llama.cpp closes connections that were promised to stay, and may do so just when one is used again."""
    asked_for: list[str] = []

    def chat(body):  # type: ignore[no-untyped-def]
        asked_for.append(body["model"])
        time.sleep(0.05)  # idle connections outlive their probation, so that they are used again
        return (HANGS_UP, None) if asked_for.count("trueyield-no-such-model") == 1 else plain_chat(body)

    with running(Fake({"/v1/models": (200, {"data": [{"id": "m"}]})}, chat)) as fake:
        found = asked(fake, client)
    assert asked_for.count("trueyield-no-such-model") == 2
    assert values(found)["error form"] == "HTTP 404, error object: message, type, param, code"


def test_a_real_llama_cpp_server(client: Client, llamacpp_url: str, tmp_path: Path) -> None:
    found = asked(llamacpp_url, client)
    told = values(found)
    assert told["server"] is not None and told["server"].startswith("llama.cpp")
    assert (told["precision"], told["sequences at once"], told["context"]) == ("fp16", "4", "2,048")
    assert told["error form"] == "any model's name is accepted"
    assert told["the entry below"] is not None and told["the entry below"].endswith("tokens: usage")
    assert found.spent.calls <= MOST_CALLS
    assert found.spent.output_tokens <= found.spent.cap_tokens <= MOST_OUTPUT_TOKENS
    assert round_trip(found.entry, tmp_path).dialect == "llamacpp"


@pytest.mark.parametrize("dialect", ["vllm", "deepseek", "ollama", "llamacpp"])
def test_the_simulator_in_each_dialect(dialect: str, client: Client, tmp_path: Path) -> None:
    with simulator(tmp_path, "--preset", "demo", "--model", "m", "--dialect", dialect) as server:
        found = asked(server.url, client, model="m")
    assert found.request.include_usage
    assert found.request.continuous_usage is (dialect == "vllm")
    assert values(found)["streaming"] is not None
    assert round_trip(found.entry, tmp_path).base_url == found.base_url


def test_nobody_there_no_key_many_models(client: Client) -> None:
    with pytest.raises(PreflightError, match="cannot reach"):
        asked("http://127.0.0.1:1/v1", client)
    with running(hosted_reasoner()) as fake, pytest.raises(PreflightError, match="wants a key"):
        asked(fake, client)
    two = Fake({"/v1/models": (200, {"data": [{"id": "a"}, {"id": "b"}]})}, plain_chat)
    with running(two) as fake, pytest.raises(InputError, match="one of a, b"):
        asked(fake, client)


CARDS = [
    (["meta-llama/Llama-3.3-70B-Instruct"], None, None, "llama-3.3-70b"),
    (["deepseek-ai/DeepSeek-R1-Distill-Llama-70B"], None, None, "r1-distill-llama-70b"),
    (["deepseek-ai/DeepSeek-R1-Distill-Qwen-32B-FP8"], None, None, "r1-distill-qwen-32b"),
    (["deepseek-ai/DeepSeek-R1"], None, None, "deepseek-r1"),
    (["deepseek-r1:671b"], "deepseek2", "671.0B", "deepseek-r1"),
    (["deepseek-r1:32b"], "qwen2", "32.8B", "r1-distill-qwen-32b"),
    (["deepseek-r1:latest"], "qwen2", "7.6B", "r1-distill-qwen-7b"),
    (["deepseek-r1:70b-llama-distill-q4_K_M"], "llama", "70.6B", "r1-distill-llama-70b"),
    (["llama3.1:8b-instruct-q8_0"], "llama", "8.0B", "llama-3.1-8b"),
    (["llama3.1:latest"], "llama", "8.0B", "llama-3.1-8b"),
    (["qwen3:32b"], "qwen3", "32.8B", "qwen3-32b"),
    (["Qwen/Qwen3-235B-A22B-Instruct-2507"], None, None, "qwen3-235b-a22b"),
    (["Qwen3-32B-Q4_K_M"], None, None, "qwen3-32b"),
    (["openai/gpt-oss-20b"], None, None, "gpt-oss-20b"),
    (["mistral-small"], None, None, None),
    (["llama-3.1-9b"], None, None, None),
    ([], None, None, None),
]


@pytest.mark.parametrize("case", CARDS, ids=lambda case: str(case[0]))
def test_cards(case: tuple[list[str], str | None, str | None, str | None]) -> None:
    names, family, parameters, expected = case
    serving = Serving(names=names, family=family, parameters=parameters)
    guess = guess_card(serving, load_catalog().models)
    assert (guess.card.name if guess.card else None) == expected
    if expected is None:
        assert guess.near


@pytest.mark.parametrize("model", ["plain", "org/name-1.5", "deepseek-r1:32b", "1.0", "true", "ä: #b", '"x"', "'"])
def test_any_name_survives_yaml(model: str, tmp_path: Path) -> None:
    request = RequestOptions(extra_body={"thinking": {"type": "on"}, "n": [1, None, 0.5]}, headers={"X-A": "b: c"})
    endpoint = Endpoint(name="[::1]:8000", base_url="http://[::1]:8000/v1", model=model, allow_http=True)
    server = Server(name="vLLM", dialect="vllm", version="1", how="", serving=Serving(names=[model]))
    guess = guess_card(server.serving, load_catalog().models)
    draft = Draft(endpoint=endpoint, server=server, request=request, guess=guess)
    back = round_trip(write_entry(draft), tmp_path)
    assert (back.model, back.request, back.base_url) == (model, request, endpoint.base_url)
    named = replace(draft, endpoint=replace(endpoint, name="my entry"))
    assert round_trip(write_entry(named), tmp_path).name == "my entry"


def test_the_command(llamacpp_url: str, tmp_path: Path) -> None:
    shown = CliRunner().invoke(cli, ["probe", llamacpp_url])
    assert shown.exit_code == 0, shown.output
    assert all(len(line) <= 80 for line in shown.stdout.partition("\nendpoints:")[0].splitlines())
    assert "at most" in shown.stderr and "llama.cpp" in shown.stdout
    as_json = CliRunner().invoke(cli, ["probe", llamacpp_url, "--json"])
    document = json.loads(as_json.stdout)
    assert document["dialect"] == "llamacpp" and document["spent"]["output_tokens"] > 0
    assert round_trip(document["entry"], tmp_path).model == "tiny"
    wrong = CliRunner().invoke(cli, ["probe", llamacpp_url, "--accelerator", "h100-smx"])
    assert isinstance(wrong.exception, InputError) and "did you mean" in str(wrong.exception)
    inside = CliRunner().invoke(cli, ["probe", "simulator"])
    assert isinstance(inside.exception, InputError) and "trueyield simulate" in inside.exception.hint
