"""One tiny call before a run: facts when it works, one clear sentence when it does not."""

import json
import time
from dataclasses import replace

import pytest
from conftest import Serve, make_plan
from raw_server import HEAD, LAST, RawServer, Visit, frame
from stream_corpus import DONE, ROLE, chunk, event, said, usage

from harness.errors import PreflightError
from harness.load.client import Client
from harness.load.preflight import preflight
from harness.load.scenarios import Workload

KEY = "sk-canary-0123456789"


def reply(status: str, body: str, kind: str = "application/json") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def thinking(visit: Visit) -> None:
    asked = json.loads(visit.request.partition(b"\r\n\r\n")[2])
    assert asked["max_tokens"] == 8 and asked["stream"]
    visit.send(HEAD + frame(ROLE) + frame(said("hm", name="reasoning")[0]) + frame(event(chunk({}, "length")))
               + frame(event(chunk(usage=usage(9, 8)))) + frame(DONE) + LAST)  # fmt: skip


def test_facts(client: Client, serve: Serve) -> None:
    plan = make_plan(serve(thinking).url)
    for subject in (plan, plan.endpoint):
        facts = preflight(subject, KEY, client)
        assert facts["outcome"] == "cut_in_thought" and facts["reasoning_field"] == "reasoning"
        assert (facts["response_model"], facts["token_source"], facts["output_tokens"]) == ("m-1", "usage", 8)
        assert 0 < facts["ttft_s"] <= facts["e2e_s"]
        assert KEY not in json.dumps(facts)


def complaint(client: Client, server: RawServer, key: str | None = None) -> str:
    with pytest.raises(PreflightError) as caught:
        preflight(make_plan(server.url, api_key_env="MY_KEY").endpoint, key, client)
    text = f"{caught.value} | {caught.value.hint}"
    assert "\n" not in text and KEY not in text
    return text


def answering(chat: bytes, models: bytes = reply("404 No", "{}")):  # type: ignore[no-untyped-def]
    return lambda visit: visit.send(models if visit.request.startswith(b"GET /v1/models ") else chat)


def test_wrong_key(client: Client, serve: Serve) -> None:
    server = serve(answering(reply("401 Unauthorized", f'{{"error":"bad {KEY}"}}')))
    text = complaint(client, server, KEY)
    assert "refused the key (HTTP 401): bad [key]" in text and "MY_KEY" in text
    assert "wants a key" in complaint(client, serve(answering(reply("401 Unauthorized", "no"))), None)


def test_wrong_model_names_those_that_are_served(client: Client, serve: Serve) -> None:
    no = reply("404 Not Found", '{"error":{"message":"The model `m` does not exist.","type":"NotFoundError"}}')
    served = reply("200 OK", '{"object":"list","data":[{"id":"qwen"},{"id":"llama"}]}')
    text = complaint(client, serve(answering(no, served)))
    assert "'m' is not served" in text and "qwen, llama" in text


#: the model drew the end as its first token
NOTHING = (
    HEAD + frame(ROLE) + frame(event(chunk({}, "stop"))) + frame(event(chunk(usage=usage(9, 1)))) + frame(DONE) + LAST
)
CASES = [
    (reply("404 Not Found", '{"detail":"Not Found"}'), "nothing answers", "base_url"),
    (reply("422 Bad", '{"detail":"unknown field"}'), "unknown field", "request:"),
    (
        reply("500 Oops", "<html><style>x{}</style><b>Bad  Gateway</b></html>", "text/html"),
        "HTTP 500: Bad Gateway",
        "trouble",
    ),
    (reply("402 Pay", '{"error":{"message":"Insufficient Balance"}}'), "Insufficient Balance", "money"),
    (reply("429 Slow", '{"error":{"message":"slow down"}}'), "slow down", "fewer users"),
    (reply("200 OK", "<html>hi</html>", "text/html"), "event stream", "base_url"),
    (HEAD + frame(event({"error": {"message": "overloaded", "code": 503}})) + frame(DONE) + LAST, "overloaded", "log"),
    (HEAD + frame(ROLE) + LAST, "no whole answer (cut)", "log"),
    (NOTHING, "no whole answer (empty)", "log"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
def test_complaints(case: tuple[bytes, str, str], client: Client, serve: Serve) -> None:
    chat, words, hint = case
    text = complaint(client, serve(answering(chat)))
    assert words in text and hint in text


def test_unreachable(client: Client) -> None:
    server = RawServer()
    server.close()
    assert "cannot reach" in complaint(client, server)


def test_own_engine(serve: Serve) -> None:
    assert preflight(make_plan(serve(thinking).url), None)["status"] == 200


def test_an_idle_connection_that_the_server_closed_is_no_refusal(client: Client, serve: Serve) -> None:
    served: list[object] = []

    def once_a_connection(visit: Visit) -> None:
        if visit.sock in served:
            visit.reset()
        else:
            served.append(visit.sock)
            thinking(visit)

    server = serve(once_a_connection)
    endpoint = make_plan(server.url).endpoint
    for _ in range(3):
        time.sleep(0.3)  # long enough for a connection to be kept
        assert preflight(endpoint, None, client)["status"] == 200
    assert len(server.visits) > len(served) > 1  # somebody was turned away, and asked again


def test_a_model_that_drew_the_end_first_is_asked_once_more(client: Client, serve: Serve) -> None:
    answers = iter([NOTHING])
    server = serve(lambda visit: visit.send(nothing) if (nothing := next(answers, None)) else thinking(visit))
    assert preflight(make_plan(server.url).endpoint, None, client)["outcome"] == "cut_in_thought"
    assert len(server.visits) == 2


def test_usage_counts_a_text_that_nothing_is_answered_to(client: Client, serve: Serve) -> None:
    """Four characters a token and a template of 30, from a model that only ever answers its first question."""
    asked: list[int] = []

    def silent_after_the_first(visit: Visit) -> None:
        asked.append(len(json.loads(visit.request.partition(b"\r\n\r\n")[2])["messages"][0]["content"]))
        if len(asked) == 1:
            thinking(visit)
            return
        counted = event(chunk(usage=usage(30 + asked[-1] // 4, 1)))
        visit.send(HEAD + frame(event(chunk({}, "stop"))) + frame(counted) + frame(DONE) + LAST)

    plan = make_plan(serve(silent_after_the_first).url)
    workload = Workload(families=("arithmetic",), isl_tokens=900)
    plan = replace(plan, scenario=replace(plan.scenario, workload=workload))
    ruler = preflight(plan, None, client)["ruler"]
    assert ruler["filler_rate"] == pytest.approx(0.25) and ruler["fixed_tokens"] == pytest.approx(30)
    assert ruler["text_rates"]["arithmetic"] == pytest.approx(0.25, rel=0.03)
