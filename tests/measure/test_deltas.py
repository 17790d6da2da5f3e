"""Bulk decoding says the same as the definition for one record."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made_runs import record

from harness.measure.deltas import GAP_PHASES, decode_deltas
from harness.measure.metrics import METRICS
from harness.records import encode_offsets

STREAM = st.lists(st.tuples(st.integers(0, 2**33), st.sampled_from("rat")), max_size=12)


def as_record(stream):
    offsets = sorted(offset for offset, _ in stream)
    return record(delta_offsets=encode_offsets(offsets), delta_phase="".join(phase for _, phase in stream))


@given(st.lists(st.one_of(STREAM, st.none()), max_size=8), st.data())
def test_bulk_gaps_equal_the_gaps_of_each_record(streams, data):
    records = [record(delta_offsets=None, delta_phase=None) if s is None else as_record(s) for s in streams]
    chosen = np.array([data.draw(st.booleans()) for _ in records], dtype=bool)
    deltas = decode_deltas(records)
    for name in GAP_PHASES:
        expected = [gap for one, keep in zip(records, chosen, strict=True) if keep for gap in METRICS[name].pool(one)]
        assert deltas.gaps_s(name, chosen).tolist() == expected


@given(st.lists(STREAM, max_size=6))
def test_per_record_counts(streams):
    deltas = decode_deltas([as_record(stream) for stream in streams])
    assert deltas.counts.tolist() == [len(stream) for stream in streams]
    thoughts = deltas.per_record(deltas.phases == ord("r"))
    assert thoughts.tolist() == [sum(phase == "r" for _, phase in stream) for stream in streams]


def test_a_phase_text_of_another_length_is_unknown():
    deltas = decode_deltas([record(delta_phase="r")])
    assert deltas.gaps_s("itl_s", np.array([True])).tolist() == [0.1, 0.1, 0.05]
    assert not len(deltas.gaps_s("itl_reasoning_s", np.array([True])))
