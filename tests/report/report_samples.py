"""Realistic run and sweep folders for the report's tests, built from the result types."""

import dataclasses
import json
import random
from pathlib import Path

import msgspec

from harness.errors import Outcome
from harness.measure.results import (
    Distribution,
    EndpointResult,
    Goodput,
    Load,
    Mix,
    Requests,
    RunResult,
    Throughput,
    Tokens,
    Useful,
)
from harness.price.results import (
    BoundRow,
    Bounds,
    Buyer,
    Comparison,
    Day,
    Economics,
    Factor,
    Owner,
    TestBill,
    Theoretical,
)
from harness.providers import Accelerator, Deployment, Endpoint, ModelCard, PriceCard, PricePeriod, Rates
from harness.records import (
    ClientLag,
    Manifest,
    Stages,
    StreamRecord,
    Wall,
    WorkerEntry,
    encode_offsets,
    encode_record,
    read_manifest,
    write_manifest,
)

HOSTILE = "evil</script><script>alert(1)</script>[bold red]\x1b[31m\u202e<img src=x onerror=alert(1)>\r\n{{7*7}}"
S = 1_000_000_000
WALL_OFFSET = 1_790_000_000 * S
ACCELERATOR = Accelerator(
    name="H100 SXM 80GB", hbm_bytes=80e9, hbm_bytes_per_s=3.35e12, flops_per_s={"fp8": 1.979e15, "bf16": 9.9e14},
    tdp_w=700.0, scale_up_bytes_per_s=9e11, scale_up_domain=8, scale_out_bytes_per_s=5e10,
    source="https://example.org/h100", as_of="2026-08-01",
)  # fmt: skip
MODEL = ModelCard(
    name="llama-3.3-70b", layers=80, hidden=8192, heads=64, kv_heads=8, head_dim=128, ffn=28672, vocab=128256,
    source="https://example.org/config.json", as_of="2026-08-01",
)  # fmt: skip
CARD = PriceCard(
    name="together-llama-3.3-70b", provider="together", model="llama-3.3-70b", source="https://example.org/prices",
    as_of="2026-08-01", periods=(PricePeriod(rates=Rates(usd_per_mtok_input=0.88, usd_per_mtok_output=0.88)),),
)  # fmt: skip
DEPLOYMENT = Deployment(
    accelerator=ACCELERATOR, count=4, model=MODEL, precision="fp8", usd_per_gpu_hour=2.40, price_basis="rent",
    price_as_of="2026-11", utilisation=0.40,
)  # fmt: skip


def distribution(p50: float, p90: float, p99: float, n: int = 1946) -> Distribution:
    return Distribution(
        n=n, failed=3, censored=96, mean=p50 * 1.1, p50=p50, p90=p90 if n >= 29 else None,
        p95=(p90 + p99) / 2 if n >= 59 else None, p99=p99 if n >= 299 else None, max=p99 * 1.4,
    )  # fmt: skip


def metrics(n: int = 1946) -> dict[str, Distribution]:
    return {
        "ttft_s": distribution(0.212, 0.541, 1.23, n),
        "ttfat_s": distribution(31.2, 55.1, 88.4, n),
        "think_s": distribution(30.9, 54.2, 87.0, n),
        "itl_s": distribution(0.0301, 0.0342, 0.0611, n * 400),
        "tpot_s": distribution(0.0312, 0.0331, 0.0367, n),
        "e2e_s": distribution(42.3, 70.4, 101.0, n),
        "client_lag_s": distribution(0.00002, 0.00004, 0.0002, n),
    }


def run_result(n: int = 1946, **changes: object) -> RunResult:
    total = n + 99
    requests = Requests(planned=None, total=total, ok=n, failed=3, censored=96)
    outcomes = {"ok": n - 12, "cut_in_thought": 12, "rate_limited": 2, "stream_error": 1, "censored": 96}
    tokens = Tokens(input=n * 310, cached=0, reasoning=n * 1100, answer=n * 240, output=n * 1340)
    useful = round(n * 0.931)
    values: dict[str, object] = {
        "run_id": "20261121-101500-ab12", "valid": True, "invalid_reasons": (),
        "load": Load(state="saturated", evidence=("tok/s rose 1 % from 64 to 96 users", "TTFT p90 rose 3x")),
        "window_s": 2520.0, "requests": requests, "outcomes": outcomes, "tokens": tokens, "window_tokens": tokens,
        "metrics": metrics(n),
        "throughput": Throughput(requests_per_s=0.772, output_tokens_per_s=3100.0, input_tokens_per_s=240.0,
                                 output_tokens_per_s_per_user=32.05),
        "goodput": Goodput(requests_per_s=0.72, output_tokens_per_s=2890.0),
        "useful": Useful(total=n, count=useful, share=useful / n, share_low=0.919, share_high=0.942, graded=n,
                         right=useful, why_not={"failed": 3, "cut_in_thought": 12, "slo_missed": 6,
                                                "wrong": n - useful - 21}),
        "mix": Mix(isl_tokens=310.0, osl_tokens=1340.0, reasoning_share=0.82, cached_share=0.0, mean_in_flight=95.1,
                   mean_decoding=93.0, tokens_per_delta=1.0, shared_read_share=0.004),
        "endpoints": {"vllm-70b": EndpointResult(
            requests=requests, outcomes=outcomes, tokens=tokens, metrics=metrics(n), goodput=None,
            throughput=Throughput(requests_per_s=0.772))},
        "response_models": ("llama-3.3-70b",), "clock": "kernel", "slos": {"ttft_s": 2.0, "tpot_s": 0.0333},
    }  # fmt: skip
    return RunResult(**{**values, **changes})  # type: ignore[arg-type]


def economics(**changes: object) -> Economics:
    values: dict[str, object] = {
        "run_id": "20261121-101500-ab12",
        "test_bill": TestBill(usd_known=7.02, usd_unknown_max=0.11, spend={
            "useful": 6.1, "not_useful": 0.45, "failed": 0.02, "cut_off": 0.31, "warm_up": 0.2, "drain": 0.05}),
        "buyer": Buyer(usd_per_mtok_input=0.88, usd_per_mtok_output=0.88, usd_per_mtok_blended=0.88,
                       usd_per_mtok_blend_3to1=0.88, usd_per_1k_useful=4.73, price_card=CARD.name,
                       price_date="2026-08-01", price_label="list"),
        "owner": Owner(usd_per_gpu_hour=2.40, basis="rent", as_of="2026-11", usd_per_mtok_output_allin=0.86,
                       usd_per_mtok_total=0.70, usd_per_mtok_output_split=0.81, split_rule="compute share",
                       usd_per_1k_useful=3.70, users_per_gpu=24.0, revenue_per_gpu_hour=3.07),
        "bound": Bounds(
            at_this_load=BoundRow(output_tokens_per_s=10930.0, limited_by="memory", batch=93.0,
                                  output_tokens_per_s_per_user=114.0, usd_per_mtok_output_allin=0.24,
                                  yield_ratio=3.51),
            at_best_load=BoundRow(output_tokens_per_s=17690.0, limited_by="memory+KV", batch=264.0,
                                  output_tokens_per_s_per_user=67.0, usd_per_mtok_output_allin=0.15,
                                  yield_ratio=6.30)),
        "bound_fraction": 0.2836, "theoretical": Theoretical(usd_per_mtok_output_allin=0.15, yield_ratio=6.30),
        "yield_ratio": 0.28, "yield_basis": "seller", "gross_margin": 0.219, "break_even_utilisation": 0.78,
        "day": Day(utilisation=0.40, kind="declared", usd_per_1k_useful=9.24, yield_ratio=-0.49),
        "comparisons": (Comparison(price_card=CARD.name, price_date="2026-08-01", usd_per_1k_useful=4.73,
                                   yield_ratio=0.28, break_even_utilisation=0.78),),
        "waterfall": (
            Factor(factor="SLO 30 tok/s/user", ratio=0.62, kind="measured", rc_before=7.30, rc_after=4.53,
                   evidence="batch 93 of 264", share=0.18),
            Factor(factor="engine efficiency", ratio=0.28, kind="measured", rc_before=4.53, rc_after=1.27,
                   evidence="3,100 of 10,930 tok/s", share=0.48),
            Factor(factor="utilisation of a day", ratio=0.40, kind="declared", rc_before=1.27, rc_after=0.51,
                   evidence="deployment.utilisation 0.40", share=0.34),
            Factor(factor="failures", ratio=1.0, kind="measured", rc_before=0.51, rc_after=0.51,
                   evidence="3 of 1,949", share=0.0)),
    }  # fmt: skip
    return Economics(**{**values, **changes})  # type: ignore[arg-type]


def endpoint(**changes: object) -> Endpoint:
    values: dict[str, object] = {
        "name": "vllm-70b", "base_url": "http://127.0.0.1:8000/v1", "model": "llama-3.3-70b", "dialect": "vllm",
        "price_card": CARD, "deployment": DEPLOYMENT,
    }  # fmt: skip
    return Endpoint(**{**values, **changes})  # type: ignore[arg-type]


def manifest(target: Endpoint, users: int = 96, **changes: object) -> Manifest:
    began = WALL_OFFSET + 100 * S
    values: dict[str, object] = {
        "run_id": "20261121-101500-ab12", "trueyield_version": "0.1.0", "created_at": "2026-11-21T10:15:00+00:00",
        "seed": 7, "endpoint": msgspec.to_builtins(target),
        "scenario": {"name": "reasoning", "description": "Reasoning problems with exact answers", "users": users,
                     "slos": {"ttft_s": 2.0, "tpot_s": 0.0333}, "gates": ["p90(ttft_s) < 2"]},
        "hashes": {"price_card": "9f" * 32, "deployment": "a1" * 32}, "options": {"users": users},
        "environment": {"python": "3.11.2", "kernel": "6.1.0", "cpu": "AMD EPYC", "clocksource": "tsc"},
        "stages": Stages(began_ns=began, measure_begin_ns=began + 10 * S, measure_end_ns=began + 110 * S,
                         ended_ns=began + 125 * S),
        "workers": {"w0": WorkerEntry(wall=Wall(offset_ns=WALL_OFFSET, error_ns=90,
                                                taken_at="2026-11-21T10:15:00.000+00:00"),
                                      host="bench", pid=4242, clock="kernel", records=300, final=True)},
        "finished": True,
    }  # fmt: skip
    return Manifest(**{**values, **changes})  # type: ignore[arg-type]


def record(ordinal: int, source: random.Random, **changes: object) -> StreamRecord:
    """One plausible stream; times are spread over the 125 s of the sample manifest."""
    started = int((100 + source.uniform(0, 110)) * S)
    ttft, think, tpot = source.lognormvariate(-1.6, 0.5), source.uniform(0.4, 3), source.gauss(0.031, 0.002)
    tokens = source.randint(40, 160)
    offsets, now = [], ttft
    for _ in range(tokens):
        offsets.append(int(now * 1e6))
        now += max(0.001, source.gauss(tpot, 0.004))
    first, ended = started + int(ttft * S), started + int(now * S)
    thoughts = max(1, min(tokens - 1, int(think / tpot)))
    outcome = Outcome.OK if ordinal % 25 else Outcome.RATE_LIMITED
    ok = outcome is Outcome.OK
    stage = "warmup" if started < 110 * S else "measure"
    values: dict[str, object] = {
        "run_id": "20261121-101500-ab12", "request_id": f"req-{ordinal:05d}", "worker": "w0", "seq": ordinal,
        "endpoint": "vllm-70b", "model": "llama-3.3-70b", "scenario": "reasoning", "stage": stage,
        "started_ns": started, "sent_first_ns": started, "sent_last_ns": started + 1000, "ended_ns": ended,
        "outcome": outcome, "status": 200 if ok else 429, "error": None if ok else "too many requests",
        "first_reasoning_ns": first if ok else None, "last_delta_ns": ended if ok else None,
        "first_answer_ns": started + offsets[thoughts] * 1000 if ok else None,
        "input_tokens": 310 if ok else None, "output_tokens": tokens if ok else None,
        "reasoning_tokens": thoughts if ok else None, "answer_tokens": tokens - thoughts if ok else None,
        "connection": "reused", "clock": "kernel", "client_lag_ns": ClientLag(mean=9e3, p99=2e4, max=90_000),
        "token_source": "usage" if ok else None,
        "deltas": tokens if ok else 0, "delta_offsets": encode_offsets(offsets) if ok else None,
        "delta_phase": "r" * thoughts + "a" * (tokens - thoughts) if ok else None, "prompt_id": "chain:2:7:1",
    }  # fmt: skip
    return StreamRecord(**{**values, **changes})  # type: ignore[arg-type]


def write_folder(
    folder: Path, run: RunResult, money: Economics | None, target: Endpoint, users: int = 96, records: int = 300
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, manifest(target, users))
    (folder / "run.json").write_bytes(msgspec.json.encode(run))
    if money is not None:
        (folder / "economics.json").write_bytes(msgspec.json.encode(money))
    source = random.Random(users)
    lines = [encode_record(record(ordinal, source)) for ordinal in range(records)]
    (folder / "records.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return folder


def seller(folder: Path, **changes: object) -> Path:
    return write_folder(folder, run_result(**changes), economics(), endpoint())


def stolen(folder: Path, **options: object) -> Path:
    found = read_manifest(seller(folder))
    workers = {name: msgspec.structs.replace(each, stolen_share=0.11) for name, each in found.workers.items()}
    write_manifest(folder, msgspec.structs.replace(found, workers=workers, options=found.options | options))
    return folder


def demand_limited(folder: Path) -> Path:
    load = Load(state="demand_limited", evidence=("4 users; tok/s rises with users",))
    return write_folder(folder, run_result(load=load), economics(), endpoint(), users=4)


def buyer(folder: Path) -> Path:
    card = dataclasses.replace(CARD, name="deepseek-flash", provider="deepseek")
    money = economics(
        owner=Owner(), bound=Bounds(), bound_fraction=None, theoretical=Theoretical(), yield_ratio=None,
        yield_basis=None, gross_margin=None, break_even_utilisation=None, day=Day(), waterfall=(),
        buyer=Buyer(usd_per_mtok_input=0.56, usd_per_mtok_output=1.68, usd_per_mtok_blended=1.02,
                    usd_per_mtok_blend_3to1=0.525, usd_per_1k_useful=5.42, price_card="deepseek-flash",
                    price_date="2026-08-01", price_label="2026/peak"),
        comparisons=(Comparison(price_card="deepseek-flash off-peak", price_date="2026-08-01", usd_per_1k_useful=2.71,
                                yield_ratio=None, break_even_utilisation=None),),
        test_bill=TestBill(usd_known=3.05, usd_unknown_max=0.01, usd_reported=3.07,
                           spend={"useful": 2.8, "not_useful": 0.2, "failed": 0.0, "cut_off": 0.06}),
        reasons={"yield_ratio": "a bought API: the seller's cost is not measurable from outside",
                 "bound": "no deployment declared"},
    )  # fmt: skip
    run = run_result(n=600, load=Load(state="unknown", evidence=()), response_models=("deepseek-flash",))
    target = endpoint(
        name="deepseek-flash", base_url="https://api.deepseek.com/v1", model="deepseek-flash", price_card=card,
        deployment=None, dialect="deepseek", api_key_env="DEEPSEEK_API_KEY",
    )  # fmt: skip
    return write_folder(folder, run, money, target, users=32)


def owner(folder: Path) -> Path:
    box = dataclasses.replace(
        DEPLOYMENT, accelerator=dataclasses.replace(ACCELERATOR, name="RTX 4090"), count=1, precision="q4_k_m",
        usd_per_gpu_hour=0.11, price_basis="tco: box 3 years + electricity", utilisation=None,
    )  # fmt: skip
    money = economics(
        buyer=Buyer(), yield_ratio=None, yield_basis=None, gross_margin=None, break_even_utilisation=None,
        owner=Owner(usd_per_gpu_hour=0.11, basis="tco", as_of="2026-11", usd_per_mtok_output_allin=0.90,
                    usd_per_1k_useful=3.75, users_per_gpu=1.0),
        bound=Bounds(
            at_this_load=BoundRow(output_tokens_per_s=56.0, limited_by="memory", batch=1.0,
                                  output_tokens_per_s_per_user=56.0, usd_per_mtok_output_allin=0.55),
            at_best_load=BoundRow(output_tokens_per_s=199.0, limited_by="memory", batch=4.0,
                                  output_tokens_per_s_per_user=49.0, usd_per_mtok_output_allin=0.15)),
        bound_fraction=0.61, theoretical=Theoretical(usd_per_mtok_output_allin=0.15), day=Day(), comparisons=(),
        waterfall=(), test_bill=TestBill(usd_known=None, usd_unknown_max=None, spend={}),
        reasons={"yield_ratio": "no price card to compare with: name one under compare_with or sell_at",
                 "test_bill": "no price card"},
    )  # fmt: skip
    throughput = Throughput(requests_per_s=0.0114, output_tokens_per_s=34.0, output_tokens_per_s_per_user=34.2)
    run = run_result(n=64, throughput=throughput, response_models=("qwen2:32b",))
    target = endpoint(
        name="ollama", base_url="http://127.0.0.1:11434/v1", model="deepseek-r1:32b", price_card=None, deployment=box
    )
    return write_folder(folder, run, money, target, users=1)


def undeclared(folder: Path) -> Path:
    nothing = "no price card and no deployment declared"
    money = economics(
        buyer=Buyer(), owner=Owner(), bound=Bounds(), bound_fraction=None, theoretical=Theoretical(), yield_ratio=None,
        yield_basis=None, gross_margin=None, break_even_utilisation=None, day=Day(), waterfall=(), comparisons=(),
        test_bill=TestBill(usd_known=None, usd_unknown_max=None, spend={}),
        reasons={"yield_ratio": nothing, "bound": nothing, "buyer": nothing, "owner": nothing, "test_bill": nothing},
    )  # fmt: skip
    target = endpoint(name="http://127.0.0.1:9999/v1", model="m", price_card=None, deployment=None)
    return write_folder(folder, run_result(n=320), money, target, users=8)


def invalid(folder: Path) -> Path:
    reasons = ("client lag p99 8.1 ms is above 2 ms", "worker w1 was lost")
    return seller(folder, valid=False, invalid_reasons=reasons)


def short_run(folder: Path) -> Path:
    why = "the window of 60.0 s is shorter than 3 x the median E2E of 42.3 s: long answers are under-represented"
    return seller(folder, length_biased=True, window_s=60.0, reasons={"mix.osl_tokens": why})


def empty(folder: Path) -> Path:
    none = Requests(planned=None, total=0, ok=0, failed=0, censored=0)
    useful = Useful(total=0, count=0, share=None, share_low=None, share_high=None, graded=0, right=0, why_not={})
    run = run_result(
        valid=False, invalid_reasons=("no request ended well",), load=Load(state="unknown"), window_s=None,
        requests=none, outcomes={}, tokens=Tokens(), window_tokens=Tokens(), metrics={}, throughput=Throughput(),
        goodput=None, useful=useful, mix=Mix(), endpoints={}, response_models=(), clock=None,
        reasons={"metrics": "no request was finished"},
    )  # fmt: skip
    target = endpoint(price_card=None, deployment=None)
    return write_folder(folder, run, None, target, records=0)


def hostile(folder: Path) -> Path:
    """Every text that a server, a model or a user can choose is an attack."""
    money = economics(
        notes=(HOSTILE,), reasons={"yield_ratio": HOSTILE},
        comparisons=(Comparison(price_card=HOSTILE, price_date=HOSTILE, usd_per_1k_useful=1.0, yield_ratio=0.1,
                                break_even_utilisation=None),),
        waterfall=(Factor(factor=HOSTILE, ratio=0.5, kind="measured", rc_before=2.0, rc_after=1.0, evidence=HOSTILE,
                          share=1.0),),
    )  # fmt: skip
    run = run_result(
        response_models=(HOSTILE,), notes=(HOSTILE,), invalid_reasons=(HOSTILE,), valid=False,
        outcomes={"ok": 5, HOSTILE: 2},
    )  # fmt: skip
    target = endpoint(name=HOSTILE, model=HOSTILE, base_url=f"http://{HOSTILE}")
    write_folder(folder, run, money, target)
    source = random.Random(1)
    with (folder / "records.jsonl").open("ab") as file:
        for ordinal in range(30):
            bad = record(ordinal, source, request_id=HOSTILE, error=HOSTILE, finish_reason=HOSTILE, model=HOSTILE,
                         outcome=Outcome.STREAM_ERROR, ended_ns=400 * S, prompt_id=HOSTILE)  # fmt: skip
            file.write(encode_record(bad) + b"\n")
    return folder


def confirmed_sweep(folder: Path) -> Path:
    """The same with a second run of the chosen level, which is a little dearer, and what was asked besides."""
    sweep(folder)
    money = economics(owner=Owner(usd_per_gpu_hour=2.4, basis="rent", as_of="2026-11", usd_per_1k_useful=3.99))
    write_folder(folder / "users-96.2", run_result(), money, endpoint(), users=96, records=80)
    content = json.loads((folder / "sweep.json").read_text())
    content["levels"].append({"users": 96, "run": "users-96.2", "role": "confirm"})
    content |= {"interactivity": [35.0, 500.0], "skipped": [{"users": 384, "why": "at 192 users requests queue"}]}
    (folder / "sweep.json").write_text(json.dumps(content))
    return folder


def sweep(folder: Path, users: tuple[int, ...] = (8, 32, 96, 192)) -> Path:
    """Four loads of the self-hosted sample: the more users, the more tok/s in all and the fewer for each."""
    levels = []
    for number in users:
        total = 9000 * number / (number + 180)
        per_user = total / number
        cost, missed = 3.70 * 3100 / total if number < 150 else 3.5, 0.6 if number > 150 else 0.0
        load = Load(state="demand_limited" if number < 20 else "saturated" if number > 90 else "unknown")
        throughput = Throughput(requests_per_s=total / 1340, output_tokens_per_s=total,
                                output_tokens_per_s_per_user=per_user)  # fmt: skip
        money = economics(
            yield_ratio=None if number < 20 else 4.73 / cost - 1, bound_fraction=total / (total * 2.6 + 900),
            owner=Owner(usd_per_gpu_hour=2.4, basis="rent", as_of="2026-11", usd_per_1k_useful=cost,
                        usd_per_mtok_output_allin=cost * 0.23),
            bound=Bounds(
                at_this_load=BoundRow(output_tokens_per_s=total * 2.6 + 900, limited_by="memory", batch=float(number),
                                      output_tokens_per_s_per_user=per_user * 2.6 + 20,
                                      usd_per_mtok_output_allin=cost * 0.08, yield_ratio=3.0),
                at_best_load=BoundRow(output_tokens_per_s=17690.0, limited_by="memory+KV", batch=264.0,
                                      output_tokens_per_s_per_user=67.0, usd_per_mtok_output_allin=0.15,
                                      yield_ratio=6.3)),
        )  # fmt: skip
        n = 20 * number
        share = 0.93 - missed
        useful = Useful(total=n, count=round(n * share), share=share, share_low=share - 0.01, share_high=share + 0.01,
                        graded=n, right=n, why_not={"slo_missed": round(n * missed)})  # fmt: skip
        slow = {"ttft_s": distribution(2.6, 3.9, 4.4, n)} if missed else {}
        run = run_result(n=n, load=load, throughput=throughput, useful=useful, metrics=metrics(n) | slow)
        write_folder(folder / f"users-{number}", run, money, endpoint(), users=number, records=80)
        levels.append({"users": number, "run": f"users-{number}"})
    content = {"schema": 1, "sweep_id": "20261121-sweep", "scenario": "reasoning", "endpoint": "vllm-70b",
               "levels": levels}  # fmt: skip
    (folder / "sweep.json").write_text(json.dumps(content))
    return folder


RUNS = {
    "seller": seller, "buyer": buyer, "owner": owner, "undeclared": undeclared, "invalid": invalid, "empty": empty,
    "hostile": hostile, "demand_limited": demand_limited, "short_run": short_run, "stolen": stolen,
}  # fmt: skip
