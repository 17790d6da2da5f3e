"""Whole run folders made by hand: counts, window edges, clocks, throughput, goodput, broken folders."""

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import MS, WALL, S, folder, lines, manifest, moved, record, worker

from harness.errors import InputError, Outcome
from harness.measure.runs import measure, read_run, write_run
from harness.measure.window import Window
from harness.records import Pauses, encode_offsets, write_manifest

SHORT = {"count": 9, "total_ns": 400_000, "max_ns": 60_000}


def several(n, every_ns, **changes):
    return [moved(record(**changes), k * every_ns, request_id=f"r{k}", seq=k) for k in range(n)]


def test_a_run_by_hand(tmp_path):
    records = several(8, S)  # sent at 1..8 s, ended half a second later, window 0..10 s
    result = measure(folder(tmp_path, records))
    assert result.valid and result.invalid_reasons == ()
    assert result.window_s == 10
    assert (result.requests.total, result.requests.ok, result.requests.planned) == (8, 8, None)
    assert (result.tokens.input, result.tokens.output, result.tokens.reasoning, result.tokens.unknown) == (
        800,
        64,
        32,
        0,
    )
    assert result.window_tokens == result.tokens
    assert result.throughput.requests_per_s == pytest.approx(0.8)
    assert result.throughput.output_tokens_per_s == pytest.approx(6.4)
    assert result.throughput.input_tokens_per_s == pytest.approx(80)
    assert result.throughput.output_tokens_per_s_per_user == pytest.approx(6 / 0.25)
    assert result.metrics["ttft_s"].p50 == pytest.approx(0.2)
    assert result.metrics["itl_s"].n == 24
    assert result.mix.mean_in_flight == pytest.approx(0.4)  # 8 x 0.5 s of 10 s
    assert result.mix.mean_decoding == pytest.approx(0.2)  # 8 x 0.25 s
    assert (result.mix.isl_tokens, result.mix.osl_tokens, result.mix.reasoning_share) == (100, 8, 0.5)
    assert (result.mix.tokens_per_delta, result.mix.cached_share) == (2, None)
    assert result.goodput is None and result.reasons["goodput"] == "the scenario states no SLOs"
    assert (result.useful.total, result.useful.count, result.useful.graded) == (8, 8, 0)
    assert result.load.state == "demand_limited"  # idle 60 % of the window
    assert result.endpoints.keys() == {"e"} and result.endpoints["e"].requests == result.requests
    assert result.clock == "kernel" and not result.length_biased


def test_run_json_has_the_promised_keys_and_reads_back(tmp_path):
    result = measure(folder(tmp_path, several(3, S)))
    write_run(tmp_path, result)
    assert read_run(tmp_path) == result
    page = json.loads((tmp_path / "run.json").read_text())
    assert set(page) >= set(
        "schema valid invalid_reasons load window_s requests outcomes tokens metrics throughput goodput".split()
    )
    assert set(page["endpoints"]["e"]) >= {"requests", "outcomes", "tokens", "metrics", "throughput", "goodput"}
    assert set(page["load"]) == {"state", "evidence"}
    assert set(page["requests"]) == {"planned", "total", "ok", "failed", "censored", "not_sent"}
    assert set(page["metrics"]) >= set(
        "ttft_s ttft_planned_s ttfat_s think_s itl_s tpot_s e2e_s client_lag_s lateness_s".split()
    )
    assert set(page["metrics"]["ttft_s"]) >= set("n failed censored mean p50 p90 p95 p99 max".split())
    assert page["goodput"] is None and page["metrics"]["ttft_s"]["p99"] is None
    assert measure(tmp_path) == result  # the same folder, the same result


def test_warm_up_and_drain_count_in_totals_but_not_in_metrics(tmp_path):
    records = [
        moved(record(), 0, request_id="w", stage="warmup", first_reasoning_ns=9 * S),
        moved(record(), 2 * S, request_id="m"),
        moved(record(), 30 * S, request_id="d", stage="drain"),
    ]
    result = measure(folder(tmp_path, records))
    assert result.requests.total == 3 and result.tokens.output == 24 and result.window_tokens.output == 8
    assert result.metrics["ttft_s"].n == 1
    assert result.useful.total == 1


def test_tokens_count_where_they_arrive_and_requests_where_they_end(tmp_path):
    # the window opens between the first and the second delta of one request, and closes on the last of another
    early = moved(record(), -1 * S - 250 * MS, request_id="early", stage="warmup")
    late = moved(record(), 8 * S + 550 * MS, request_id="late")  # deltas at 9.75 9.85 9.95 and exactly 10.0 s
    result = measure(folder(tmp_path, [early, late]))
    assert result.throughput.output_tokens_per_s == pytest.approx((6 + 6) / 10)
    assert result.throughput.requests_per_s == pytest.approx(1 / 10)  # only `early` ended inside
    assert result.throughput.input_tokens_per_s == pytest.approx(100 / 10)  # only `late` had its first token inside
    assert result.metrics["ttft_s"].n == 1  # only `late` began inside


def test_window_is_half_open():
    window = Window(10, 20)
    assert window.holds(np.array([9, 10, 19, 20])).tolist() == [False, True, True, False]
    assert window.overlap_s(np.array([0, 15, 30]), np.array([12, 40, 40])).tolist() == [2e-9, 5e-9, 0]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30)), max_size=12))
def test_busy_time_by_counting(spans):
    window = Window(10, 50)
    begins = np.array([begin for begin, _ in spans], dtype=np.int64)
    ends = np.array([begin + length for begin, length in spans], dtype=np.int64)
    counted = sum(any(b <= tick < b + n for b, n in spans) for tick in range(10, 50))
    assert window.busy_s(begins, ends) * 1e9 == pytest.approx(counted)


def test_two_workers_with_their_own_clocks(tmp_path):
    # worker b's clock began 100 s earlier: its monotonic times are 100 s larger for the same moment
    ours = several(4, S, worker="a")
    theirs = [moved(one, 100 * S, request_id=f"b{k}", worker="b") for k, one in enumerate(ours)]
    workers = {"a": worker(WALL), "b": worker(WALL - 100 * S)}
    both = measure(folder(tmp_path, ours + theirs, workers=workers, workers_expected=2))
    assert both.valid
    assert both.throughput.output_tokens_per_s == pytest.approx(2 * 4 * 8 / 10)
    assert both.mix.mean_in_flight == pytest.approx(0.4)
    wrong = measure(folder(tmp_path, ours + theirs, workers={"a": worker(WALL), "b": worker(WALL)}))
    assert wrong.throughput.output_tokens_per_s == pytest.approx(4 * 8 / 10)


def test_hidden_thoughts_are_spread_over_the_wait(tmp_path):
    # sent at -1 s, answer from 1 s: half of the 100 hidden tokens lie in the window, with all 4 of the answer
    hidden = record(
        sent_last_ns=9 * S, started_ns=9 * S, first_reasoning_ns=None, first_answer_ns=11 * S,
        last_delta_ns=11 * S + 50 * MS, ended_ns=12 * S, reasoning_tokens=100, output_tokens=104, deltas=2,
        delta_offsets=encode_offsets([2_000_000, 2_050_000]), delta_phase="aa",
    )  # fmt: skip
    result = measure(folder(tmp_path, [hidden], workers={"w": worker(WALL - 10 * S)}))
    assert result.throughput.output_tokens_per_s == pytest.approx((50 + 4) / 10)


def test_without_offsets_tokens_are_spread_over_the_decode_span(tmp_path):
    plain = record(delta_offsets=None, delta_phase=None)
    half = measure(folder(tmp_path, [plain], workers={"w": worker(WALL - S - 325 * MS)}))
    assert half.throughput.output_tokens_per_s == pytest.approx(8 / 2 / 10)
    assert half.metrics["itl_s"].n == 0 and "delta" in half.reasons["metrics.itl_s"]


def test_a_cut_stream_without_usage_counts_its_deltas(tmp_path):
    cut = record(request_id="cut", outcome=Outcome.CENSORED, output_tokens=None, reasoning_tokens=None,
                 answer_tokens=None, token_source=None)  # fmt: skip
    result = measure(folder(tmp_path, [*several(20, 300 * MS), cut]))
    assert result.throughput.output_tokens_per_s == pytest.approx(21 * 8 / 10)
    assert result.tokens.output == 20 * 8 and result.tokens.unknown == 0
    assert (result.requests.ok, result.requests.censored) == (20, 1)
    assert result.useful.total == 20


def test_failures_stay_in_the_denominator(tmp_path):
    bad = [moved(record(outcome=outcome, output_tokens=None, deltas=0, delta_offsets=None), 0, request_id=outcome.value)
           for outcome in (Outcome.HTTP_ERROR, Outcome.EMPTY, Outcome.CUT)]  # fmt: skip
    long = [
        moved(record(outcome=outcome), S, request_id=outcome.value)
        for outcome in (Outcome.TRUNCATED, Outcome.CUT_IN_THOUGHT)
    ]
    result = measure(folder(tmp_path, [*several(5, S), *bad, *long]))
    assert (result.requests.total, result.requests.ok, result.requests.failed) == (10, 7, 3)
    assert result.outcomes["ok"] == 5 and sum(result.outcomes.values()) == 10
    assert result.metrics["ttft_s"].n == 7 and result.metrics["ttft_s"].failed == 3
    assert result.useful.count == 5 and result.useful.share == 0.5
    assert result.useful.why_not == {
        "failed": 2, "empty": 1, "truncated": 1, "cut_in_thought": 1, "slo_missed": 0, "wrong": 0,
    }  # fmt: skip
    assert result.valid


def test_goodput_counts_only_what_met_every_limit(tmp_path):
    slow = [moved(one, 0, first_reasoning_ns=one.first_reasoning_ns + 90 * MS) for one in several(2, S)]
    slow = [msgspec.structs.replace(one, request_id=f"s{k}") for k, one in enumerate(slow)]
    scenario = {"name": "s", "slos": {"ttft_s": 0.25, "tpot_s": 0.1}}
    result = measure(folder(tmp_path, [*several(6, S), *slow], scenario=scenario))
    assert result.goodput.requests_per_s == pytest.approx(0.6)
    assert result.goodput.output_tokens_per_s == pytest.approx(6 * 8 / 10)
    assert result.throughput.output_tokens_per_s == pytest.approx(8 * 8 / 10)
    assert result.useful.why_not["slo_missed"] == 2 and result.slos == scenario["slos"]


def test_an_unknown_slo_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="ttft_seconds.*one of ttft_s"):
        measure(folder(tmp_path, [record()], scenario={"slos": {"ttft_seconds": 1.0}}))


def test_answers_are_graded(tmp_path):
    from harness.load.prompts import problem_of

    records, answers = [], []
    for k in range(6):
        prompt_id = f"arithmetic:1:9:{k}"
        said = problem_of(prompt_id).sentence if k < 4 else "The answer is 3."
        records.append(moved(record(prompt_id=prompt_id), k * S, request_id=f"r{k}"))
        answers.append({"request_id": f"r{k}", "prompt_id": prompt_id, "answer": said})
    path = folder(tmp_path, records)
    (path / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in answers[:-1]) + '{"request_')
    result = measure(path)
    assert (result.useful.graded, result.useful.right, result.useful.why_not["wrong"]) == (5, 4, 1)
    assert result.useful.count == 5  # the torn one is not known to be wrong, and a note says so
    assert any("1 answers have a checker" in note for note in result.notes)


def test_two_endpoints_are_told_apart(tmp_path):
    records = [
        *several(4, S),
        *(moved(one, 0, request_id=f"x{k}", endpoint="x") for k, one in enumerate(several(2, S))),
    ]
    result = measure(folder(tmp_path, records))
    assert {name: part.requests.total for name, part in result.endpoints.items()} == {"e": 4, "x": 2}
    whole = sum(part.throughput.output_tokens_per_s for part in result.endpoints.values())
    assert result.throughput.output_tokens_per_s == pytest.approx(whole)
    assert result.endpoints["x"].metrics["itl_s"].n == 6


def test_an_unfinished_folder_is_measured_and_invalid(tmp_path):
    records = several(5, S)
    changes = {"finished": False, "workers": {"w": worker(final=False)}}
    open_ended = msgspec.structs.replace(manifest().stages, measure_end_ns=None, ended_ns=None)
    path = folder(tmp_path, records[:3], stages=open_ended, **changes)
    (path / "spool").mkdir()
    (path / "spool" / "w.jsonl").write_bytes(lines(records)[:-40])
    result = measure(path)
    assert result.requests.total == 4  # three shipped, one more in the spool, one torn
    assert not result.valid and "final report" in result.invalid_reasons[0]
    assert any("torn" in note for note in result.notes) and any("only in spool" in note for note in result.notes)
    assert result.window_s == pytest.approx(4.5)  # up to the end of the last record
    assert result.throughput.output_tokens_per_s == pytest.approx(4 * 8 / 4.5)


def test_a_torn_last_line_is_skipped_and_noted(tmp_path):
    path = folder(tmp_path, several(3, S))
    whole = (path / "records.jsonl").read_bytes()
    (path / "records.jsonl").write_bytes(whole + whole[:100])
    result = measure(path)
    assert result.requests.total == 3 and result.valid
    assert any("torn" in note for note in result.notes)


def test_a_damaged_line_inside_makes_it_invalid(tmp_path):
    path = folder(tmp_path, several(3, S))
    parts = (path / "records.jsonl").read_bytes().split(b"\n")
    parts[1] = parts[1][:50]
    (path / "records.jsonl").write_bytes(b"\n".join(parts))
    result = measure(path)
    assert result.requests.total == 2 and not result.valid
    assert any("the first is line 2" in reason for reason in result.invalid_reasons)


def test_a_batch_that_was_shipped_twice_counts_once(tmp_path):
    path = folder(tmp_path, several(3, S))
    (path / "records.jsonl").write_bytes((path / "records.jsonl").read_bytes() * 2)
    assert measure(path).requests.total == 3


def test_an_empty_run_is_invalid_and_has_no_invented_number(tmp_path):
    result = measure(folder(tmp_path, []))
    assert not result.valid and result.window_s == 10
    assert result.useful.share is None and result.mix.osl_tokens is None
    assert result.throughput.output_tokens_per_s is None and result.metrics["ttft_s"].p50 is None
    assert result.load.state in ("unknown", "demand_limited")
    without_window = measure(folder(tmp_path, [], stages=None))
    assert without_window.window_s is None and without_window.reasons["window_s"]


def test_without_anchors_the_window_comes_from_the_records(tmp_path):
    result = measure(folder(tmp_path, several(5, S), workers={}, workers_expected=0))
    assert result.window_s == pytest.approx(4.501)
    assert any("taken from the records" in note for note in result.notes)
    assert result.throughput.output_tokens_per_s == pytest.approx(40 / 4.501)


def test_a_short_window_is_said_to_be_short(tmp_path):
    long = [moved(record(ended_ns=5 * S), 0, request_id="a"), moved(record(ended_ns=6 * S), 0, request_id="b")]
    result = measure(folder(tmp_path, long))
    assert result.length_biased and "3 x the median E2E" in result.reasons["mix.osl_tokens"]
    assert result.throughput.output_tokens_per_s is not None


def test_user_clock_streams_are_said_to_include_our_lag(tmp_path):
    result = measure(folder(tmp_path, [*several(3, S), record(request_id="u", clock="user")]))
    assert result.clock == "mixed" and any(note.startswith("1 streams were stamped") for note in result.notes)
    assert "kernel stamps" in result.reasons["metrics.client_lag_s"]


def test_streams_that_came_all_at_once_are_said_to_be_buffered(tmp_path):
    offsets = encode_offsets([400_000] * 8)
    rows = [
        record(request_id="a", deltas=8, shared_reads=7, delta_offsets=offsets, delta_phase="a" * 8),
        record(request_id="b", deltas=8, shared_reads=6, delta_offsets=offsets, delta_phase="a" * 8),
        record(request_id="c", deltas=4, shared_reads=3),
        record(request_id="d", deltas=8, last_delta_ns=1 * S + 200 * MS + 399_999),  # in a few segments
        record(request_id="e", deltas=8, last_delta_ns=1 * S + 200 * MS + 400_000),
    ]
    result = measure(folder(tmp_path, rows))
    assert [note[:30] for note in result.notes if "at once" in note] == ["2 of 4 streams of 8 deltas or "]


@pytest.mark.parametrize(("shares", "told"), [((0.11, 0.01), "11%"), ((0.02, None), None), ((None,), None), ((), None)])
def test_what_a_host_took_is_noted(tmp_path, shares, told):
    workers = {f"w{n}": worker(stolen_share=share) for n, share in enumerate(shares)}
    notes = [note for note in measure(folder(tmp_path, [record()], workers=workers)).notes if "CPU time" in note]
    assert [note.count(told or "-") for note in notes] == ([1] if told else [])


def test_a_long_collection_is_noted(tmp_path):
    pauses = Pauses(count=3, total_ns=9_000_000, max_ns=7_000_000)
    result = measure(folder(tmp_path, [record()], workers={"w": worker(gc_pauses=pauses)}))
    assert any("up to 7.0 ms" in note for note in result.notes)
    short = measure(folder(tmp_path, [record()], workers={"w": worker(gc_pauses=Pauses(**SHORT))}))
    assert not any("garbage" in note for note in short.notes)


def test_not_a_run_folder(tmp_path):
    with pytest.raises(InputError, match=r"manifest\.json"):
        measure(tmp_path)
    with pytest.raises(InputError, match=r"run\.json"):
        read_run(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    (tmp_path / "run.json").write_text('{"run_id": 5}')
    with pytest.raises(InputError):
        measure(tmp_path)
    with pytest.raises(InputError):
        read_run(tmp_path)


def test_no_records_file_at_all(tmp_path):
    write_manifest(tmp_path, manifest(finished=False))
    result = measure(tmp_path)
    assert result.requests.total == 0 and not result.valid


@given(st.lists(st.tuples(st.integers(-3, 13), st.sampled_from(list(Outcome)), st.booleans()), max_size=25))
@settings(max_examples=60, deadline=None)
def test_books_always_balance(tmp_path_factory, rows):
    records = [
        moved(record(outcome=outcome, output_tokens=8 if known else None), at * S + 50 * S, request_id=f"r{k}",
              stage="warmup" if at < 0 else "measure" if at < 10 else "drain")
        for k, (at, outcome, known) in enumerate(rows)
    ]  # fmt: skip
    scenario = {"slos": {"e2e_s": 0.6}}
    path = folder(tmp_path_factory.mktemp("run"), records, scenario=scenario, workers={"w": worker(WALL - 51 * S)})
    result = measure(path)
    counts = result.requests
    assert counts.ok + counts.failed + counts.censored == counts.total == sum(result.outcomes.values()) == len(rows)
    assert result.useful.count + sum(result.useful.why_not.values()) == result.useful.total
    assert result.goodput.requests_per_s <= result.throughput.requests_per_s + 1e-9
    assert result.goodput.output_tokens_per_s <= (result.throughput.output_tokens_per_s or 0) + 1e-9
