"""The entry whose every figure is known, and one run on it: what it states, and what the simulator wrote down."""

import json
from pathlib import Path

from harness.config.scenarios import load_scenario
from harness.load.prompts import answers_for
from tests.endtoend.command import simulator, trueyield

IN, CACHED, OUT = 0.5, 0.1, 2.0  # USD per million tokens, the seller's card
OTHER_IN, OTHER_OUT = 0.7, 0.9  # the card to compare with, no price for hits
GPUS, HOUR, LOW, HIGH = 2, 3.6, 3.0, 4.5  # USD per GPU-hour
WATTS, IDLE_WATTS, KWH = 1500.0, 400.0, 0.12
CURVE = [0.2, 0.4, 1.0, 0.8]  # of its peak, six hours each
SLO_BATCH = 32
USERS = 16

PROVIDERS = """
endpoints:
  known:
    base_url: {url}
    model: m
    dialect: vllm
    price_card: known-card
    compare_with: [other-card]
    deployment:
      accelerator: h100-sxm
      count: 2
      model: llama-3.3-70b
      precision: fp8
      max_batch: 32
      gpu_hour: known-hour
      demand: day.csv
      power: {{watts: 1500, boundary: node, idle_watts: 400, usd_per_kwh: 0.12}}
gpu_hours:
  known-hour: {{accelerator: h100-sxm, usd_per_gpu_hour: 3.6, low: 3.0, high: 4.5, basis: rent,
               source: this test, as_of: 2026-11-01}}
prices:
  known-card:
    provider: us
    model: m
    source: this test
    as_of: 2026-11-01
    periods:
      - rates: {{usd_per_mtok_input: 0.5, usd_per_mtok_input_cached: 0.1, usd_per_mtok_output: 2.0}}
  other-card:
    provider: them
    model: m
    source: this test
    as_of: 2026-11-02
    periods:
      - rates: {{usd_per_mtok_input: 0.7, usd_per_mtok_output: 0.9}}
"""


def run_known(home: Path) -> None:
    """In `home`: the simulator's truth.jsonl and simulator.log, and the run in out/."""
    answers = home / "answers.jsonl"
    lines = answers_for(load_scenario("reasoning").workload, 1, range(2000))
    answers.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = ("--preset", "demo", "--model", "m", "--answers", answers)
    with simulator(home, *options) as server:
        (home / "providers.yaml").write_text(PROVIDERS.format(url=server.url))
        rows = [f"{6 * place + hour},{level}" for place, level in enumerate(CURVE) for hour in range(6)]
        (home / "day.csv").write_text("hour,share\n" + "\n".join(rows) + "\n")
        ended = trueyield(
            "run", "reasoning", "--endpoint", "known", "--providers", home / "providers.yaml", "--users", USERS,
            "--run-time", "20s", "--out", home / "out",
        )  # fmt: skip
        assert ended.code in (0, 4), ended.err  # 4: a busy machine; a page asserts that it was not
        server.stop()
