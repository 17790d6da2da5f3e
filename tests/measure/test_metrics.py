"""Every metric against a record worked out by hand, and the identities between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import MS, S, record

from harness.measure.metrics import METRICS, gaps_s
from harness.records import SUMMARY_FIELD, ClientLag, encode_offsets

PLANNED = record(planned_ns=1 * S - 300 * MS)
HIDDEN = record(first_reasoning_ns=None, delta_offsets=encode_offsets([400_000, 450_000]), delta_phase="aa", deltas=2)
#: two deltas of a summary in place of the thoughts: the same answer phase
SUMMARISED = record(reasoning_field=SUMMARY_FIELD, reasoning_tokens=900, output_tokens=904)
NO_DELTAS = record(delta_offsets=None, delta_phase=None)
NOT_STREAMED = record(
    first_reasoning_ns=None, first_answer_ns=None, last_delta_ns=None, delta_offsets=None, delta_phase=None, deltas=0
)

CASES = [
    ("ttft_s", record(), 0.2),
    ("ttft_s", record(first_reasoning_ns=None), 0.4),
    ("ttft_s", record(first_answer_ns=1 * S + 100 * MS), 0.1),
    ("ttft_s", NOT_STREAMED, None),
    ("ttft_s", record(sent_last_ns=None), None),
    ("ttft_planned_s", record(), None),
    ("ttft_planned_s", PLANNED, 0.5),
    ("ttfat_s", record(), 0.4),
    ("ttfat_s", record(first_answer_ns=None), None),
    ("think_s", record(), 0.2),
    ("think_s", HIDDEN, None),
    ("think_s", record(first_answer_ns=1 * S), None),
    ("e2e_s", record(), 0.5),
    ("e2e_planned_s", PLANNED, 0.8),
    ("e2e_planned_s", record(), None),
    ("lateness_s", PLANNED, 0.3),
    ("lateness_s", record(), None),
    ("connect_s", record(), None),
    ("connection_wait_s", record(), 0.0005),  # reused: until the first byte is written
    ("connection_wait_s", record(connection="fresh", connect_begin_ns=1 * S - MS + 300_000), 0.0003),
    ("connection_wait_s", record(connection=None), None),
    ("connect_s", record(connect_begin_ns=1, connect_end_ns=1 + 30 * MS), 0.03),
    ("client_lag_s", record(), None),
    ("client_lag_s", record(client_lag_ns=ClientLag(mean=1e3, p99=2e6, max=3_000_000)), 0.002),
    # (0.45 - 0.2) s over 8 tokens less the 2 of the first delta (8 tokens / 4 deltas)
    ("tpot_s", record(), 0.25 / 6),
    ("tpot_s", record(first_delta_tokens=1), 0.25 / 7),
    ("tpot_s", record(output_tokens=None), 0.25 / 6),
    ("tpot_s", NO_DELTAS, 0.25 / 6),
    # more deltas than tokens (half characters): the first delta still counts as one token
    ("tpot_s", record(deltas=16), 0.25 / 7),
    # hidden thoughts: the answer alone, 4 tokens in 2 deltas
    ("tpot_s", HIDDEN, 0.05 / 2),
    ("tpot_s", SUMMARISED, 0.05 / 2),
    ("think_tokens_per_s", SUMMARISED, 900 / 0.4),
    ("tpot_s", record(first_reasoning_ns=None, first_answer_delta_tokens=1, deltas=2), 0.05 / 3),
    ("tpot_s", record(output_tokens=1), None),
    ("tpot_s", record(output_tokens=5, first_delta_tokens=5), None),
    ("tpot_s", record(deltas=1), None),
    ("tpot_s", NOT_STREAMED, None),
    ("think_tokens_per_s", record(), 4 / 0.4),
    ("think_tokens_per_s", HIDDEN, 4 / 0.4),
    ("think_tokens_per_s", record(reasoning_tokens=None), None),
    ("think_tokens_per_s", record(reasoning_tokens=0), None),
    ("isl_tokens", record(), 100),
    ("osl_tokens", record(), 8),
    ("osl_tokens", record(output_tokens=None, answer_tokens=None), None),
    # an SLO on a gap judges the longest
    ("itl_s", record(), 0.1),
    ("itl_s", NO_DELTAS, None),
    ("itl_reasoning_s", record(), 0.1),
    ("itl_answer_s", record(), 0.05),
]


@pytest.mark.parametrize(("name", "one", "expected"), CASES)
def test_value_by_hand(name, one, expected):
    value = METRICS[name].value(one)
    assert value is None if expected is None else value == pytest.approx(expected, rel=1e-12)


def test_every_metric_has_a_case():
    assert {name for name, _, _ in CASES} == set(METRICS)


def test_gaps_are_pooled_and_shared_arrivals_add_no_zero():
    shared = record(delta_offsets=encode_offsets([100, 100, 350, 350, 400]), delta_phase="rrraa")
    assert METRICS["itl_s"].pool(shared) == pytest.approx([250e-6, 50e-6])
    assert METRICS["itl_reasoning_s"].pool(shared) == pytest.approx([250e-6])
    assert METRICS["itl_answer_s"].pool(shared) == pytest.approx([50e-6])
    assert METRICS["itl_s"].pool(record()) == pytest.approx([0.1, 0.1, 0.05])


def test_a_row_says_what_it_is():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.formula and metric.source
        assert name.endswith({"s": "_s", "tokens": "_tokens", "tokens/s": "_tokens_per_s"}[metric.unit])


@given(planned=st.integers(0, S), sent=st.integers(0, S), first=st.integers(0, S), ended=st.integers(0, S))
def test_planned_is_sent_plus_lateness(planned, sent, first, ended):
    one = record(planned_ns=planned, sent_last_ns=planned + sent, first_reasoning_ns=planned + sent + first,
                 first_answer_ns=None, ended_ns=planned + sent + first + ended)  # fmt: skip
    values = {name: METRICS[name].value(one) for name in METRICS}
    assert values["ttft_planned_s"] == pytest.approx(values["ttft_s"] + values["lateness_s"], abs=1e-9)
    assert values["e2e_planned_s"] == pytest.approx(values["e2e_s"] + values["lateness_s"], abs=1e-9)


@given(st.lists(st.integers(0, 10_000_000), max_size=50))
def test_gaps_add_up_to_the_span(offsets):
    offsets.sort()
    one = record(delta_offsets=encode_offsets(offsets), delta_phase="a" * len(offsets), deltas=len(offsets))
    assert sum(gaps_s(one)) == pytest.approx((offsets[-1] - offsets[0]) / 1e6 if offsets else 0, abs=1e-6)
    assert len(gaps_s(one)) == max(len(set(offsets)) - 1, 0)
