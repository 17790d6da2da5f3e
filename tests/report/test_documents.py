import html.parser
import json
import re

import pytest

from harness.report.documents import write_report
from tests.report import report_samples as samples


class Page(html.parser.HTMLParser):
    """Tags with their attributes, ids, and the text of every script."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words = ""
        self._inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside != "style":
            self.words += data

    def figures(self) -> dict[str, object]:
        return json.loads(next(text for text in self.scripts if text.startswith("{")))


def page_of(folder) -> Page:
    return Page(write_report(folder).read_text())


ALL = {"latency", "gaps", "speed", "throughput", "in_flight", "outcomes"}


@pytest.mark.parametrize(
    ("name", "charts"),
    [
        ("seller", ALL | {"waterfall", "theory", "bill"}),
        ("buyer", ALL | {"bill"}),
        ("owner", ALL | {"theory"}),
        ("undeclared", ALL),
        ("invalid", ALL | {"theory", "bill"}),
        ("empty", set()),
    ],
)
def test_every_chart_that_has_data_is_there_and_is_told_in_words(tmp_path, name: str, charts: set[str]) -> None:
    page = page_of(samples.RUNS[name](tmp_path))
    drawn = [attributes for _, attributes in page.tags if "data-chart" in attributes]
    assert {attributes["data-chart"] for attributes in drawn} == charts
    assert set(page.figures()) == charts
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in drawn)


@pytest.mark.parametrize("name", [*sorted(samples.RUNS), "sweep"])
def test_nothing_is_loaded_from_anywhere(tmp_path, name: str) -> None:
    page = page_of((samples.RUNS | {"sweep": samples.sweep})[name](tmp_path))
    loads = [
        (tag, value)
        for tag, attributes in page.tags
        for key, value in attributes.items()
        if key in ("src", "srcset", "data", "action", "poster") or (key == "href" and tag != "a")
    ]
    assert loads == [("link", "data:,")]
    links = [attributes["href"] or "" for tag, attributes in page.tags if tag == "a"]
    assert all(re.fullmatch(r"#main|users-\d+/report\.html", link) for link in links)
    policy = next(attributes["content"] for _, attributes in page.tags if attributes.get("http-equiv")) or ""
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert "unsafe-eval" not in policy


def test_hostile_text_is_shown_and_never_becomes_a_tag(tmp_path) -> None:
    tame = page_of(samples.seller(tmp_path / "tame"))
    page = page_of(samples.hostile(tmp_path / "hostile"))
    assert "<script>alert(1)</script>" in page.words
    assert "{{7*7}}" in page.words
    assert "\u202e" not in page.words and "\x1b" not in page.words
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 3 and "img" not in tags
    assert not [attributes for _, attributes in page.tags if any(key.startswith("on") for key in attributes)]
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in tame.tags} | {"p", "div", "br", "strong"}
    text = (tmp_path / "hostile" / "report.html").read_text()
    assert "<img" not in text.split("</style>")[1].split('id="plotly"')[0]


def test_plotly_sees_no_tag_of_foreign_text(tmp_path) -> None:
    folder = samples.hostile(tmp_path)
    run = json.loads((folder / "run.json").read_bytes())
    (folder / "run.json").write_text(json.dumps(run | {"valid": True}))  # an invalid run has no waterfall
    figures = page_of(folder).figures()
    assert "<script>" not in json.dumps([figures["outcomes"], figures["waterfall"]])  # type: ignore[index]


def test_the_page_says_money_first_then_theory_then_where_it_went(tmp_path) -> None:
    words = page_of(samples.seller(tmp_path)).words
    order = ["VALID", "What it costs", "$3.70", "Theory, measured, fraction", "17,690", "Where the yield went",
             "How fast", "Slowest requests", "Can this be trusted?", "Where it comes from", "9f9f9f"]  # fmt: skip
    places = [words.index(word) for word in order]
    assert places == sorted(places)


def test_the_reader_learns_why_a_figure_is_missing(tmp_path) -> None:
    words = page_of(samples.buyer(tmp_path)).words
    assert "not measurable from outside" in words
    assert "yield_ratio" in words


def test_invalid_is_said_before_any_figure(tmp_path) -> None:
    words = page_of(samples.invalid(tmp_path)).words
    assert words.index("Do not use these numbers") < words.index("$3.70")


def test_a_sweep_links_its_levels_and_draws_the_frontier(tmp_path) -> None:
    page = page_of(samples.sweep(tmp_path))
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert [f"users-{users}/report.html" for users in (8, 32, 96, 192)] == links[1:]
    assert {"frontier", "cost", "ttft", "waterfall", "theory"} <= set(page.figures())


def test_a_chart_that_cannot_be_drawn_costs_only_itself(tmp_path, monkeypatch) -> None:
    def broken(samples: object) -> None:
        raise ZeroDivisionError("no luck")

    monkeypatch.setattr("harness.report.charts.run_charts.gaps", broken)
    page = page_of(samples.seller(tmp_path))
    assert "gaps" not in page.figures() and "latency" in page.figures()
    assert "chart gaps could not be drawn: ZeroDivisionError: no luck" in page.words


def test_records_that_cannot_be_read_cost_only_their_charts(tmp_path) -> None:
    folder = samples.seller(tmp_path)
    (folder / "records.jsonl").write_bytes(b'{"torn": \n\xff\xfe\n' + b"[]\n")
    page = page_of(folder)
    assert "latency" not in page.figures() and "waterfall" in page.figures()


def test_a_report_can_be_mailed(tmp_path) -> None:
    assert write_report(samples.seller(tmp_path)).stat().st_size < 2_200_000


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two #rrggbb colours."""

    def light(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1])
def test_colours_of_text_can_be_read_light_and_dark(tmp_path, scheme: int) -> None:
    text = write_report(samples.empty(tmp_path)).read_text()
    css = re.findall(r":root \{(.*?)\}", text, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--(\w+): (#\w{6});", css))
    for name in ("ink", "muted", "measured", "loss", "gain", "warn", "link"):
        for ground in ("paper", "card"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


def test_a_short_run_is_said_at_the_top_and_marks_what_is_too_low(tmp_path) -> None:
    words = page_of(samples.short_run(tmp_path)).words
    assert words.index("Short run: long answers are missing") < words.index("$3.70")
    assert "~31.2 s" in words and "~212 ms" not in words


def test_the_page_of_a_sweep_quotes_the_rerun_and_tells_what_lies_between_the_levels(tmp_path) -> None:
    words = page_of(samples.confirmed_sweep(tmp_path)).words
    assert "confirmed (first run $3.66)" in words
    assert "At 500 tok/s/user: not reached at any load" in words
    assert "384 users: not run: at 192 users requests queue" in words


def test_a_demand_limited_waterfall_says_so(tmp_path) -> None:
    assert 'Demand-limited: "load and SLO" shows few users' in page_of(samples.demand_limited(tmp_path)).words


def test_a_sweep_says_which_level_it_quotes_and_why_another_has_no_price(tmp_path) -> None:
    words = page_of(samples.sweep(tmp_path)).words
    assert "At 96 users, cheapest level that met its SLOs; not confirmed by a rerun" in words
    assert "192 users: not quoted: TTFT p50 2.60 s > SLO 2 s" in words
