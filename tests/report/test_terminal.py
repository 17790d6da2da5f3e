import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from harness.report.gates import check, write_verdicts
from harness.report.terminal import HEIGHT, WIDTH, closing_table, verdict_table
from tests.report import report_samples as samples


def printed(renderable: object, width: int = 80, **options: object) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, **options).print(renderable)  # type: ignore[arg-type]
    return file.getvalue().splitlines()


def table(folder) -> list[str]:
    return printed(closing_table(folder))


@pytest.mark.parametrize("name", sorted(samples.RUNS))
def test_every_sample_fits_one_screen(tmp_path, name: str) -> None:
    folder = samples.RUNS[name](tmp_path)
    write_verdicts(folder, check(folder, ["p90(ttft_s) < 2", "share(failed) < 0.001", "p99(itl_s) < 0"]))
    lines = table(folder)
    assert 10 <= len(lines) <= HEIGHT
    assert max(map(cell_len, lines)) <= WIDTH
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("levels", [1, 3, 4, 12, 30])
def test_a_sweep_fits_one_screen(tmp_path, levels: int) -> None:
    lines = table(samples.sweep(tmp_path, tuple(8 * (number + 1) for number in range(levels))))
    assert len(lines) <= HEIGHT
    assert max(map(cell_len, lines)) <= WIDTH
    assert "1,000 useful answers" in "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "says", "never"),
    [
        ("seller", ["VALID", "$3.70", "at full load", "YIELD sold at together", "+28%", "-49%", "theory,", "17,690",
                    "10,930", "3,100", "28%", "memory+KV", "engine efficiency", "DECLARED", "$2.40/GPU-h",
                    "Break-even of your day: engine 28% -> 56%, use 78%, or $1.22/GPU-h"],
         ["INVALID"]),
        ("buyer", ["VALID", "$5.42", "SELLER'S YIELD", "not measurable from outside", "useful token", "in:out",
                   "first ANSWER", "0.56/1.68", "test bill $3.05"], ["theory,", "+28%"]),
        ("owner", ["$3.75", "no price card to compare with", "61%", "RTX 4090", "compare_with", "answered as",
                   "p99 needs 299"], ["+28%"]),
        ("undeclared", ["1,000 useful answers cost  -", "add a deployment or price_card", "3,100"], ["$", "+28%"]),
        ("demand_limited", ["at this load", "withheld: demand-limited", "4 users", "sweep"], ["+28%", "at full load"]),
        ("invalid", ["INVALID", "client lag p99 8.1 ms", "worker w1 was lost", "must not be used"], ["\nVALID"]),
        ("stolen", ["VALID", "client lag", "CPU steal 11%", "--keep-awake (root)"], ["INVALID"]),
        ("empty", ["INVALID", "no request ended well", "No latency", "no answer in the measure window"], ["$"]),
    ],
)  # fmt: skip
def test_each_kind_of_endpoint_is_told_what_holds_for_it(
    tmp_path, name: str, says: list[str], never: list[str]
) -> None:
    text = "\n".join(table(samples.RUNS[name](tmp_path)))
    assert [word for word in says if word not in text] == []
    assert [word for word in never if word in text] == []


def test_who_kept_the_cpus_awake_is_not_told_to(tmp_path) -> None:
    text = "\n".join(table(samples.stolen(tmp_path, keep_awake=True)))
    assert "CPU steal 11%" in text and "--keep-awake" not in text


def test_a_day_cannot_have_more_than_100_percent(tmp_path) -> None:
    money = samples.economics(break_even_utilisation=2.76)
    lines = table(samples.write_folder(tmp_path, samples.run_result(), money, samples.endpoint()))
    assert any("break-even never (276% use)" in line for line in lines)


def test_a_long_reason_takes_a_second_line(tmp_path) -> None:
    reason = "what serving it costs its seller is not known from outside, so that no yield can be told of this API"
    money = samples.economics(yield_ratio=None, reasons={"yield_ratio": reason})
    lines = table(samples.write_folder(tmp_path, samples.run_result(), money, samples.endpoint()))
    text = " ".join(" ".join(lines).split())
    assert reason in text


def test_validity_stands_before_every_number_of_money(tmp_path) -> None:
    lines = table(samples.invalid(tmp_path))
    assert lines[1].startswith("INVALID")
    assert next(index for index, line in enumerate(lines) if "$" in line) > 3


def test_a_sweep_marks_the_best_level_of_each_goal_and_quotes_the_cheapest(tmp_path) -> None:
    lines = table(samples.sweep(tmp_path))
    assert any(line.startswith(">    96") and line.endswith("$Y") for line in lines)
    assert any(line.startswith("    192") and line.endswith("T") for line in lines), "cheaper, but missed its SLOs"
    assert any("at 96 users, cheapest level that met its SLOs; not confirmed by a rerun" in line for line in lines)
    assert any("192 users: not quoted: TTFT p50 2.60 s > SLO 2 s" in line for line in lines)


def test_the_chosen_level_is_quoted_from_its_second_run(tmp_path) -> None:
    lines = table(samples.confirmed_sweep(tmp_path))
    text = "\n".join(lines)
    assert "at 96 users, cheapest level that met its SLOs; confirmed (first run $3.66)" in text
    assert sum(line.startswith(">    96") for line in lines) == 1 and "$3.99" in text
    assert "at 35.0 tok/s/user: 2" in text and "(interpolated)" in text
    assert "at 500 tok/s/user: not reached at any load" in text
    assert all(len(line) <= 80 for line in lines)


def test_an_invalid_level_makes_the_sweep_invalid_and_is_never_chosen(tmp_path) -> None:
    samples.sweep(tmp_path)
    samples.invalid(tmp_path / "users-96")
    text = "\n".join(table(tmp_path))
    assert "INVALID  sweep" in text
    assert "96 users: client lag" in text
    assert "at 32 users, cheapest level that met its SLOs" in text


def test_a_level_that_cannot_be_read_is_a_row_of_dashes(tmp_path) -> None:
    samples.sweep(tmp_path)
    (tmp_path / "users-32" / "run.json").unlink()
    lines = table(tmp_path)
    assert any(line.split()[:3] == ["32", "-", "-"] for line in lines)


def test_failed_gates_are_said(tmp_path) -> None:
    folder = samples.seller(tmp_path)
    write_verdicts(folder, check(folder, ["p99(ttft_s) < 0.5"]))
    assert any("FAIL" in line and "p99(ttft_s) < 0.5" in line for line in table(folder))


def test_markup_in_names_is_printed_not_obeyed(tmp_path) -> None:
    lines = printed(closing_table(samples.hostile(tmp_path)), force_terminal=True, color_system="truecolor")
    text = "\n".join(lines)
    assert "[bold red]" in text
    assert "\x1b[31m" not in text.replace("\x1b[31m!! ", "").split("evil", 1)[1].split("\n", 1)[0]
    assert "\u202e" not in text


@pytest.mark.parametrize("width", [20, 79, 80, 200])
def test_a_narrow_or_wide_terminal_never_wraps_a_line(tmp_path, width: int) -> None:
    lines = printed(closing_table(samples.seller(tmp_path)), width=width)
    assert len(lines) <= HEIGHT
    assert max(map(cell_len, lines)) <= min(width, WIDTH)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_name_fits(tmp_path_factory, name: str) -> None:
    folder = tmp_path_factory.mktemp("run")
    target = samples.endpoint(name=name.encode("utf-8", "replace").decode(), model="模型" * 30)
    samples.write_folder(folder, samples.run_result(), samples.economics(), target, records=0)
    lines = table(folder)
    assert len(lines) <= HEIGHT
    assert max(map(cell_len, lines)) <= WIDTH


def test_verdicts_are_a_table(tmp_path) -> None:
    folder = samples.seller(tmp_path)
    lines = printed(verdict_table(check(folder, ["p99(ttft_s) < 0.5", "value(endpoints.vllm-70b.requests.ok) > 1"])))
    assert [line.split()[0] for line in lines] == ["FAIL", "PASS"]
    assert max(map(cell_len, lines)) <= WIDTH


@pytest.mark.parametrize("name", ["seller", "buyer", "owner", "undeclared", "demand_limited", "invalid", "short_run"])
def test_nothing_is_cut_short(tmp_path, name: str) -> None:
    assert [line for line in table(samples.RUNS[name](tmp_path)) if "..." in line or "-0%" in line] == []


def test_nothing_of_a_sweep_is_cut_short(tmp_path) -> None:
    assert [line for line in table(samples.sweep(tmp_path)) if "..." in line or "-0%" in line] == []


def test_a_short_run_is_said_before_its_prices_and_marks_what_is_too_low(tmp_path) -> None:
    lines = table(samples.short_run(tmp_path))
    said = next(number for number, line in enumerate(lines) if "SHORT RUN: long answers are missing" in line)
    price = next(number for number, line in enumerate(lines) if "~$3.70" in line)
    assert said < price
    assert any("ANSWER ~31/55/88 s" in line for line in lines)
    assert not any("TTFT ~" in line or "TPOT ~" in line for line in lines)


def test_no_yield_is_quoted_from_a_level_that_its_neighbours_show_to_be_demand_limited(tmp_path) -> None:
    text = " ".join(" ".join(table(samples.sweep(tmp_path, (24, 32)))).split())
    assert "withheld: demand-limited run (24 -> 32 users gave" in text
    assert "add levels above 32 users" in text


def test_a_level_without_a_price_says_why(tmp_path) -> None:
    samples.sweep(tmp_path)
    money = samples.economics(owner=samples.Owner(), reasons={"owner.usd_per_1k_useful": "none was useful"})
    nothing = samples.Useful(total=100, count=0, share=0.0, share_low=0.0, share_high=0.04, graded=100, right=90,
                             why_not={"slo_missed": 100})  # fmt: skip
    slow = samples.metrics(100) | {"ttft_s": samples.distribution(3.63, 3.94, 4.4, 100)}
    run = samples.run_result(useful=nothing, metrics=slow)
    samples.write_folder(tmp_path / "users-192", run, money, samples.endpoint(), users=192, records=5)
    assert any("192 users: no $, 0% useful: TTFT p50 3.63 s > SLO 2 s" in line for line in table(tmp_path))
