"""The share of cache hits that a workload asks for is the one that a real llama.cpp server reports."""

from collections.abc import Iterator

import msgspec
import pytest

from harness.load.calls import Identity
from harness.load.client import Client
from harness.load.clock import now_ns
from harness.load.dialects import build_call, resolve_target
from harness.load.preflight import preflight
from harness.load.prompts import SHARED_PREFIXES, make_prompt
from harness.load.ruler import Ruler
from harness.load.scenarios import Plan, Scenario, Workload
from harness.providers import Endpoint
from harness.records import StreamRecord, decode_record
from tests.conftest import llamacpp
from tests.engines.tiny_gguf import write_tiny_model


@pytest.fixture(scope="module")
def one_slot_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A llama.cpp server with one slot. It keeps the prompts of a slot in memory when another prompt takes it, so that
    the shared beginnings of a run, which come in turn, are all found again."""
    with llamacpp(write_tiny_model(tmp_path_factory.mktemp("gguf") / "tiny.gguf"), slots=1) as url:
        yield url


def asked(url: str, workload: Workload, run_id: str) -> list[StreamRecord]:
    """24 prompts one after the other, as long as the endpoint's own usage taught."""
    endpoint = Endpoint(name="tiny", base_url=url, model="tiny", dialect="llamacpp")
    plan = Plan(
        run_id=run_id, seed=5, endpoint=endpoint, scenario=Scenario(name="s", description="", workload=workload)
    )
    with Client() as client:
        ruler = msgspec.convert(preflight(plan, None, client)["ruler"], Ruler)
        return [_call(plan, ruler, ordinal, client) for ordinal in range(24)]


def _call(plan: Plan, ruler: Ruler, ordinal: int, client: Client) -> StreamRecord:
    prompt = make_prompt(plan.scenario.workload, plan.seed, ordinal, plan.run_id, ruler)
    identity = Identity(
        run_id=plan.run_id, request_id=f"{plan.run_id}-{ordinal}", worker="w", seq=ordinal, endpoint="tiny",
        model="tiny", scenario="s", stage="measure", started_ns=now_ns(), cap_tokens=prompt.max_tokens,
    )  # fmt: skip
    return decode_record(client.call(build_call(plan, prompt, identity, resolve_target(plan.endpoint), None)).line)


def share(records: list[StreamRecord]) -> float:
    """Of the prompts behind the first of each shared beginning, which nobody can have cached."""
    behind = records[SHARED_PREFIXES:]
    assert all(one.cached_tokens is not None and one.input_tokens for one in behind)
    return sum(one.cached_tokens or 0 for one in behind) / sum(one.input_tokens or 0 for one in behind)


@pytest.mark.parametrize("isl", [300, 400, 900])
def test_half_of_the_input_is_found_again_on_one_slot(one_slot_url: str, isl: int) -> None:
    workload = Workload(families=("arithmetic",), isl_tokens=isl, cache="share:0.5", max_tokens=4)
    records = asked(one_slot_url, workload, f"half-{isl}")
    assert share(records) == pytest.approx(0.5, abs=0.03)
    assert all((one.cached_tokens or 0) < 0.1 * isl for one in records[:SHARED_PREFIXES]), "the first ones are misses"


#: this server takes a kept prompt up again only where more than a quarter of it is shared: 0.25 itself is a toss
@pytest.mark.parametrize("wanted", [0.4, 0.8])
def test_other_shares_and_a_cold_run(one_slot_url: str, wanted: float) -> None:
    workload = Workload(families=("arithmetic",), isl_tokens=800, cache=f"share:{wanted}", max_tokens=4)
    assert share(asked(one_slot_url, workload, f"share-{wanted}")) == pytest.approx(wanted, abs=0.03)
    cold = Workload(families=("arithmetic",), isl_tokens=800, max_tokens=4)
    assert share(asked(one_slot_url, cold, f"cold-{wanted}")) < 0.02, "a chat template, no more"


def test_as_many_slots_as_beginnings_find_the_same(llamacpp_url: str) -> None:
    workload = Workload(families=("arithmetic",), isl_tokens=600, cache="share:0.5", max_tokens=4)
    assert share(asked(llamacpp_url, workload, "four-slots")) == pytest.approx(0.5, abs=0.03)
