"""Splits of a joint cost: DeepSeek's day by each rule, and every split re-sums to the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.price.owned.splits import Classes, Split, node_usd_per_mtok, split, split_by_node_time, split_by_price
from harness.providers import Rates

DAY_USD = 226.75 * 8 * 24 * 2.0
DAY = Classes(computed=266e9, cached=342e9, output=168e9)
R1 = Rates(usd_per_mtok_input=0.55, usd_per_mtok_output=2.19, usd_per_mtok_input_cached=0.14)


def total(shares: Split, tokens: Classes) -> float:
    return (
        shares.usd_per_mtok_input_computed * tokens.computed
        + shares.usd_per_mtok_input_cached * tokens.cached
        + shares.usd_per_mtok_output * tokens.output
    ) / 1e6


def test_nodes_of_one_kind_by_their_golden_values():
    assert node_usd_per_mtok(16, 73_700) == pytest.approx(0.0603, rel=1e-3)
    assert node_usd_per_mtok(16, 73_700 * 266 / 608) == pytest.approx(0.1378, rel=1e-3)
    assert node_usd_per_mtok(16, 14_800) == pytest.approx(0.3003, rel=1e-3)


def test_the_day_all_in():
    assert DAY_USD == pytest.approx(87_072)
    assert DAY_USD / 168e3 == pytest.approx(0.5183, rel=1e-3)
    assert DAY_USD / 776e3 == pytest.approx(0.1122, rel=1e-3)


def test_the_day_by_node_time():
    shares = split_by_node_time(DAY_USD, DAY, 95.48, 131.38)
    assert shares.usd_per_mtok_input_computed == pytest.approx(0.1378, rel=1e-3)
    assert shares.usd_per_mtok_output == pytest.approx(0.3003, rel=1e-3)
    assert shares.usd_per_mtok_input_cached == 0.0
    assert total(shares, DAY) == pytest.approx(DAY_USD)
    assert shares.rule == "node time: 42.1% of it prefills, 57.9% decodes; cache hits weigh 0"


def test_the_day_by_the_marginal_rule_with_hits_at_full_weight():
    shares = split(DAY_USD, 266e9, 342e9, 168e9, cached_weight=1.0)
    assert shares.usd_per_mtok_output == pytest.approx(0.2721, rel=1e-3)
    assert shares.usd_per_mtok_input_computed == pytest.approx(0.0680, rel=1e-3)
    assert shares.usd_per_mtok_input_cached == shares.usd_per_mtok_input_computed
    assert total(shares, DAY) == pytest.approx(87_072)
    assert shares.rule.endswith("a cache hit weighs 1 of a computed one")


def test_the_day_by_price_earns_the_same_on_every_class():
    shares = split_by_price(DAY_USD, DAY, R1, "deepseek-r1")
    earned = [0.55 / shares.usd_per_mtok_input_computed, 0.14 / shares.usd_per_mtok_input_cached,
              2.19 / shares.usd_per_mtok_output]  # fmt: skip
    assert earned == pytest.approx([562_100 / 87_072] * 3, rel=1e-4)
    assert shares.rule == "by price: in proportion to the rates of deepseek-r1"


_tokens = st.floats(0, 1e13)
_some = st.floats(1, 1e13)
_usd = st.floats(0.01, 1e7)


@given(_usd, _tokens, _tokens, _some, st.floats(0.5, 10), st.floats(0, 1))
def test_the_marginal_split_sums_to_the_whole(usd, computed, cached, output, ratio, weight):
    shares = split(usd, computed, cached, output, ratio, weight)
    assert total(shares, Classes(computed=computed, cached=cached, output=output)) == pytest.approx(usd)


@given(_usd, _some, _tokens, _some, st.floats(0.1, 1e4), st.floats(0.1, 1e4))
def test_the_node_time_split_sums_to_the_whole(usd, computed, cached, output, prefill, decode):
    tokens = Classes(computed=computed, cached=cached, output=output)
    assert total(split_by_node_time(usd, tokens, prefill, decode), tokens) == pytest.approx(usd)


_price = st.floats(0.001, 100)


@given(_usd, _tokens, _tokens, _some, _price, _price, st.none() | _price)
def test_the_split_by_price_sums_to_the_whole(usd, computed, cached, output, p_in, p_out, p_hit):
    tokens = Classes(computed=computed, cached=cached, output=output)
    rates = Rates(usd_per_mtok_input=p_in, usd_per_mtok_output=p_out, usd_per_mtok_input_cached=p_hit)
    assert total(split_by_price(usd, tokens, rates, "c"), tokens) == pytest.approx(usd)


def test_cost_never_falls_on_nobody():
    assert split_by_node_time(1.0, Classes(computed=0, cached=5, output=5), 1, 1) is None
    assert split_by_node_time(1.0, DAY, 0, 1) is None
    free = Rates(usd_per_mtok_input=0, usd_per_mtok_output=0)
    assert split_by_price(1.0, DAY, free, "c") is None
