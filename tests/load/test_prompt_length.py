"""Prompts are as long as asked, in the endpoint's own tokens: on a real llama.cpp server and on the simulator."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.load.calls import Identity
from harness.load.client import Client
from harness.load.clock import now_ns
from harness.load.dialects import build_call, resolve_target
from harness.load.preflight import preflight
from harness.load.prompts import SHARED_PREFIXES, filler_text, input_tokens, make_prompt
from harness.load.ruler import Ruler, calibrated
from harness.load.scenarios import Plan, Scenario, Workload
from harness.providers import Endpoint
from harness.records import StreamRecord, decode_record
from harness.simulator.texts import render_prompt, tokens_in

WORKLOAD = Workload(families=("arithmetic", "countdown", "knights_zh"), isl="uniform(500,900)", isl_tokens=700)


def content(workload: Workload, ordinal: int, ruler: Ruler) -> str:
    return make_prompt(workload, 5, ordinal, "n", ruler).messages[0]["content"]


def simulated(text: str) -> int:
    return tokens_in(render_prompt([{"role": "user", "content": text}]))


def learned(count: Callable[[str], int | None], workload: Workload) -> Ruler:
    bare = replace(workload, isl=None, isl_tokens=None)
    samples = {name: content(replace(bare, families=(name,)), 0, Ruler()) for name in workload.families}
    ruler = calibrated(filler_text, samples, count, (400, 1_400))
    assert ruler is not None
    return ruler


def test_the_simulators_tokens_land_within_3_percent() -> None:
    ruler = learned(simulated, WORKLOAD)
    assert ruler.fixed_tokens == pytest.approx(5, abs=3) and ruler.filler_rate == pytest.approx(0.25, rel=0.01)
    for ordinal in range(200):
        asked = input_tokens(WORKLOAD, 5, ordinal)
        assert simulated(content(WORKLOAD, ordinal, ruler)) == pytest.approx(asked, rel=0.03)


def test_a_template_of_any_size_is_told_from_the_text() -> None:
    def count(text: str) -> int:
        return 321 + len(text) // 3

    ruler = learned(count, WORKLOAD)
    assert ruler.fixed_tokens == pytest.approx(321, abs=2) and ruler.filler_rate == pytest.approx(1 / 3, rel=0.01)
    for ordinal in range(50):
        assert count(content(WORKLOAD, ordinal, ruler)) == pytest.approx(input_tokens(WORKLOAD, 5, ordinal), rel=0.03)


def test_an_endpoint_that_counts_nothing_teaches_nothing() -> None:
    assert calibrated(lambda chars: "x" * chars, {}, lambda text: None, (10, 20)) is None
    assert calibrated(lambda chars: "x" * chars, {}, lambda text: 7, (10, 20)) is None


def test_the_real_llama_cpp_server_lands_within_3_percent(llamacpp_url: str) -> None:
    endpoint = Endpoint(name="tiny", base_url=llamacpp_url, model="tiny", dialect="llamacpp")
    scenario = Scenario(name="s", description="", workload=replace(WORKLOAD, max_tokens=4))
    plan = Plan(run_id="r", seed=5, endpoint=endpoint, scenario=scenario)
    with Client() as client:
        ruler = msgspec.convert(preflight(plan, None, client)["ruler"], Ruler)
        assert ruler.fixed_tokens > 1
        found = [_asked(plan, ruler, ordinal, client).input_tokens for ordinal in range(9)]
    asked = [input_tokens(WORKLOAD, 5, ordinal) for ordinal in range(9)]
    assert found == [pytest.approx(each, rel=0.03) for each in asked]


def _asked(plan: Plan, ruler: Ruler, ordinal: int, client: Client) -> StreamRecord:
    prompt = make_prompt(plan.scenario.workload, plan.seed, ordinal, "n", ruler)
    identity = Identity(
        run_id="r", request_id=f"r-{ordinal}", worker="w", seq=ordinal, endpoint="tiny", model="tiny", scenario="s",
        stage="measure", started_ns=now_ns(), cap_tokens=prompt.max_tokens,
    )  # fmt: skip
    return decode_record(client.call(build_call(plan, prompt, identity, resolve_target(plan.endpoint), None)).line)


def test_a_preflight_without_lengths_stays_one_call(llamacpp_url: str) -> None:
    endpoint = Endpoint(name="tiny", base_url=llamacpp_url, model="tiny", dialect="llamacpp")
    assert "ruler" not in preflight(endpoint, None)


@pytest.mark.parametrize("share", [0.25, 0.56, 0.9])
def test_a_shared_beginning_has_the_chosen_share(share: float) -> None:
    workload = Workload(families=("arithmetic",), isl_tokens=1200, cache=f"share:{share}")
    texts = [content(workload, ordinal, Ruler()) for ordinal in range(40)]
    assert all(len(text) == 4 * 1200 for text in texts)
    for ordinal in range(SHARED_PREFIXES, 40):
        common = _common(texts[ordinal], texts[ordinal % SHARED_PREFIXES])
        assert common / len(texts[ordinal]) == pytest.approx(share, abs=0.02)
        assert _common(texts[ordinal], texts[ordinal - 1]) < 40
    assert not content(workload, 0, Ruler())[:30] == make_prompt(workload, 5, 0, "m").messages[0]["content"][:30]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    return next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))


def words(text: str) -> list[str]:
    """As usual tokenizers cut: short words with their space, single digits, marks; between ChatML's eight tokens."""
    return ["<s>", "user", "\n", *_PIECES.findall(text), "<e>", "\n", "<s>", "assistant", "\n"]


def fours(text: str) -> list[str]:
    """As the simulator cuts."""
    whole = render_prompt([{"role": "user", "content": text}])
    return [whole[at : at + 4] for at in range(0, len(whole), 4)]


_PIECES = re.compile(r" ?[A-Za-z]{1,7}|\d|\n+|[^\sA-Za-z\d]| ")


@given(
    cut=st.sampled_from([words, fours]),
    family=st.sampled_from(["arithmetic", "units", "dates", "countdown"]),
    isl=st.integers(100, 1500),
    share=st.floats(0.1, 0.9),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_the_share_is_right_however_short_the_prompt(
    cut: Callable[[str], list[str]], family: str, isl: int, share: float, seed: int
) -> None:
    """In tokens, those of the template and of what merely looks alike included; the problem needs its room, too."""
    workload = Workload(families=(family,), difficulty=1, isl_tokens=isl, cache=f"share:{share:.4f}")
    ruler = learned(lambda text: len(cut(text)), workload)
    said = [make_prompt(workload, seed, ordinal, "n", ruler).messages[0]["content"] for ordinal in range(12)]
    tokens = [cut(text) for text in said]
    for ordinal in range(SHARED_PREFIXES, 12):
        shared = max(_common(tokens[ordinal], tokens[o]) for o in range(ordinal % SHARED_PREFIXES, ordinal, 4))
        before = 3 if cut is words else 2  # of the template: common to all
        assert shared == pytest.approx(max(share * isl, before), abs=5, rel=0.02), "13 too many, once"
        assert _common(tokens[ordinal], tokens[ordinal - 1]) <= before + 3, "another beginning"
        length = len(tokens[ordinal])
        if length <= isl + 4:  # the problem had room
            assert length == pytest.approx(isl, abs=8, rel=0.03)
            assert shared / length == pytest.approx(share, abs=max(0.025, 6 / length))


def test_every_request_has_a_cap_of_its_own_within_the_workloads() -> None:
    workload = Workload(families=("arithmetic",), osl="uniform(10,90)", max_tokens=64)
    caps = [make_prompt(workload, 1, ordinal, "n").max_tokens for ordinal in range(300)]
    assert min(caps) == 10 and max(caps) == 64 and len(set(caps)) > 40
