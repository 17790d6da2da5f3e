"""Every published claim against the verdict and the figures that a hand calculation gives."""

import random

import pytest

from harness.claims import Claim
from harness.config.claims import load_claims
from harness.price.claims.ledger import FORMULAS, bound_fraction, formula_in_words, recompute
from harness.price.claims.verdict import Verdict, judge

CLAIMS = load_claims()

HOLDS, IF, REFUTED, NOT = "holds", "holds if", "refuted", "not verifiable"
#: id -> verdict, and figures by name; on several bases the first figure of that name is meant
EXPECTED: dict[str, tuple[str, dict[str, float]]] = {
    "A1": (HOLDS, {"yield": 5.4547, "gross margin": 0.8451, "yield of rounded tokens": 5.4556}),
    "A2": (REFUTED, {"GPUs": 176}),
    "A3": (IF, {"nodes that can be deployed": 22, "nodes for the wanted yield": 30, "GPUs of that fleet": 240,
                "yield of that unit": 1.787, "its decode nodes are busy": 0.3058, "its yield": 5.132,
                "prefill nodes in balance with one decode unit": 13.08}),
    "A4": (IF, {"use of the peak fleet": 226.75 / 278, "yield of a fixed fleet": 4.265,
                "cost of a fixed fleet": 106_752}),
    "A5": (HOLDS, {"GPUs of a balanced fleet": 992, "its prefill nodes": 52, "its decode nodes": 72,
                   "its yield": 5.429}),
    "A6": (HOLDS, {"V3 over V2": 0.296, "V3 rate that KV room predicts": 20_825, "V3 rate that math predicts": 28_461}),
    "A7": (IF, {"KV room explains": 2.401, "math explains": 1.757, "fall from V2 to V3": 3.378}),
    "A8": (HOLDS, {"H100 to B200": 24.986, "H200 to B200": 3.5748}),
    "A9": (IF, {"software's gain": 21.36, "software over hardware at 40": 2.2024,
                "software over hardware at 116": 0.3287}),
    "B1": (REFUTED, {"all-in per output token": 0.5183, "cost over R1 price": 0.2367, "cost over V3 price": 0.4712,
                     "electricity, low": 0.02577, "electricity, high": 0.04295, "break-even use, R1": 0.1549,
                     "break-even use, V3": 0.3104, "the same of a peak, R1": 0.1146, "the same of a peak, V3": 0.2297}),
    "B1b": (IF, {"break-even use, R1": 0.5468, "break-even use, V3": 1.0956, "output of a node": 3036.5,
                 "all-in per output token": 1.8296}),
    "B2": (IF, {"GPUs in FP8, by capacity": 9, "GPUs in FP8, whole nodes": 16, "GPUs in BF16, whole nodes": 24}),
    "B3": (HOLDS, {"machines": 5, "weights": 671.03}),
    "B4": (HOLDS, {"machines": 3, "speed of light of one user": 38.83, "share of the speed of light": 0.2575,
                   "weights": 377.45}),
    "B5": (HOLDS, {"weights": 132.5}),
    "B6": (NOT, {"vocabulary, native": 129_280, "vocabulary, distill on Llama": 128_256,
                 "vocabulary, distill on Qwen": 152_064}),
    "B7": (HOLDS, {"cost over V3's": 1.0135, "V3's training": 5.576e6, "rate of a GPU": 327.36}),
    "C1": (IF, {"speed of light of a GPU node": 385.6, "size of what ran": 0.10515}),
    "C2": (IF, {"energy": 3.111, "speed at the best point": 98, "per dollar, slow users": 9.7,
                "per dollar, fast users": 65}),
    "D1": (HOLDS, {"active share": 0.303}),
    "D2": (HOLDS, {"training saved": 0.4251, "KV saved": 0.9334,
                   "rate of the older model that the gain implies": 8680.6}),
    "D3": (HOLDS, {"rate of a GPU": 6250}),
    "D4": (REFUTED, {"tokens per second of one user": 48.2, "accelerators that it takes": 6.224,
                     "tokens per step that it takes": 3.112}),
    "D5": (REFUTED, {"memory": 160}),
    "D6": (HOLDS, {"memory": 1128, "rate of the node": 24_000, "users": 2400}),
    "D7": (HOLDS, {"Llama over V2": 0.48}),
    "D8": (HOLDS, {"blend, new": 0.175, "blend, old": 2.8625, "blend ratio": 16.357}),
    "D9": (NOT, {"FP16 rate": 0.8205}),
    "E1": (HOLDS, {"price ratio": 1.665}),
    "E2": (IF, {"per dollar at 75": 15.05, "per dollar at 75, price 2x": 14, "price ratio that gives it": 1.8667}),
    "E3": (HOLDS, {"per dollar at 25": 6.005, "per dollar at 60": 14.41}),
    "E4": (IF, {"B200 over MI355X at 25": 2.95, "B200 over MI355X at 60": 2.170, "MI355X over H200 at 25": 1.695,
                "MI355X over H200 at 60": 2.087, "MI325X over H200 at 25": 0.625,
                "per megawatt at the last speed": 35.33}),
    "E5": (NOT, {}),
    "E6": (HOLDS, {"NVIDIA": 2.0, "AMD": 1.4167}),
    "E7": (REFUTED, {"B200 over MI355X": 1.098, "MI355X over MI300X": 3.4, "B200 over H100": 3.111}),
    "E8": (NOT, {}),
    "IX1": (HOLDS, {"cost, not additive": 0.09249, "rate of a megawatt": 2.699, "energy": 0.3705}),
    "IX2": (HOLDS, {"cost, not additive": 0.429, "rate of a megawatt": 0.4051}),
    "IX3": (HOLDS, {"cost, not additive": 1.356}),
    "IX4": (HOLDS, {"gross margin, input": 0.8326, "gross margin, output": 0.4528}),
    "IX5": (HOLDS, {"price": 7.143, "speed": 2.5}),
    "NV1": (HOLDS, {"cost before": 4.352, "cost after": 0.12269, "fall of cost": 35.47, "price of an hour": 1.8794}),
    "ML1": (HOLDS, {"energy": 2.376}),
    "DS1": (HOLDS, {"cost": 87_072, "all-in per output token": 0.5183, "per token of any kind": 0.1122}),
    "DS2": (HOLDS, {"revenue": 562_100, "output share of revenue": 0.6546}),
    "DS3": (HOLDS, {"nodes": 226.86, "prefill nodes": 95.48, "decode nodes": 131.38,
                    "computed input of a prefill node": 32_244, "output of a node, both sides counted": 8571}),
    "DS4": (HOLDS, {"cache hits": 0.5625}),
    "DS5": (HOLDS, {"mean nodes": 226.75, "peak nodes": 278}),
    "DS6": (HOLDS, {"experts on a prefill GPU": 9, "experts on a decode GPU": 2}),
    "DS7": (HOLDS, {"bound of a node": 40_089, "bound fraction, low": 0.3692, "bound fraction, high": 0.4266,
                    "communication": 17.56, "communication by the paper's convention": 20.29}),
    "DS8": (HOLDS, {"income of the day": 562_989, "mean over peak": 0.7545, "trough over peak": 0.2052}),
    "DS9": (HOLDS, {"token time, network": 14.757, "tokens per second, rack": 1219.75}),
    "DS10": (HOLDS, {"bound of a node": 40_089, "bound fraction, low": 18_598 / 40_089}),
    "DS11": (HOLDS, {"prefill": 0.5135, "decode": 0.7958}),
    "S1": (IF, {"decode nodes alone": 0.1995, "with prefill nodes": 0.334}),
    "S2": (NOT, {"baseline that the gain implies": 4285}),
    "S3": (HOLDS, {"bound of a node": 40_089}),
    "S4": (HOLDS, {"share of peak math": 0.267}),
    "S5": (HOLDS, {"bound of a node": 40_089, "bound fraction, low": 17_373 / 40_089}),
    "S6": (NOT, {}),
    "G1": (HOLDS, {"accelerators counted": 4}),
    "G2": (HOLDS, {"accelerators counted": 19}),
    "G3": (HOLDS, {"accelerators counted": 307}),
    "G4": (HOLDS, {"accelerators counted": 284}),
    "G5": (NOT, {}),
}  # fmt: skip


def figures(claim: Claim) -> dict[str, float]:
    return {figure.name: figure.value for figure in reversed(FORMULAS[claim.formula](claim))}


def test_every_claim_has_its_test() -> None:
    assert set(EXPECTED) == set(CLAIMS)
    register = "A1 A2 A3 A4 A5 A6 A7 A8 A9 B1 B1b B2 B3 B4 B5 B6 B7 C1 C2 D1 D2 D3 D4 D5 D6 D7 D8 D9 E1 E2 E3 E4 E5 E6"
    assert set(register.split()) <= set(CLAIMS)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_claim_is_recomputed(name: str) -> None:
    word, wanted = EXPECTED[name]
    found = figures(CLAIMS[name])
    assert recompute(CLAIMS[name]).verdict == word
    assert {key: found[key] for key in wanted} == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda claim: claim.id)
def test_a_claim_is_whole(claim: Claim) -> None:
    verdict = recompute(claim)
    found = {figure.name for figure in FORMULAS[claim.formula](claim)}
    for published in claim.published:
        assert published.name in found or claim.needs, "what cannot be recomputed says what it would take"
    assert "{" not in verdict.condition
    if verdict.verdict in ("holds if", "refuted"):
        assert verdict.condition, "what would have to be true"
    if verdict.verdict == "not verifiable":
        assert claim.needs or verdict.doubts
    assert formula_in_words(claim)
    if claim.bound_of:
        assert bound_fraction(recompute(CLAIMS[claim.bound_of])) is not None


def per_basis(name: str, figure: str) -> dict[tuple[str | None, str | None], float]:
    found = FORMULAS[CLAIMS[name].formula](CLAIMS[name])
    return {(one.basis, one.as_of): one.value for one in found if one.name == figure}


LIST, OWNER, RENT = ("list, CoreWeave", "2026-09"), ("owner, hyperscaler", "2025-08"), ("rent, three years", "2025-08")
ORACLE, NEW_OWNER, NEW_RENT = ("list, Oracle", "2026"), ("owner", "2026-09"), ("rent, three years", "2026-09")


@pytest.mark.parametrize(
    ("claim", "figure", "lines"),
    [
        ("E1", "price ratio", {LIST: 1.665, OWNER: 1.567, RENT: 2.0625, NEW_OWNER: 1.5246, NEW_RENT: 1.3793}),
        ("E2", "per dollar at 75", {ORACLE: 15.05, OWNER: 18.75, RENT: 17.82, NEW_OWNER: 22.58, NEW_RENT: 20.30}),
        ("E3", "per dollar at 25", {LIST: 6.005, OWNER: 6.380, RENT: 4.848, NEW_OWNER: 6.559, NEW_RENT: 7.25}),
        ("E3", "per dollar at 60", {LIST: 14.41, OWNER: 15.31, RENT: 11.64, NEW_OWNER: 15.74, NEW_RENT: 17.4}),
        ("E4", "per dollar over MI355X at 25", {ORACLE: 3.171, OWNER: 3.951, RENT: 3.7545, NEW_OWNER: 4.758,
                                                NEW_RENT: 4.2775}),
        ("E4", "per dollar over MI355X at 60", {ORACLE: 6.181, OWNER: 7.701, RENT: 7.318, NEW_OWNER: 9.274,
                                                NEW_RENT: 8.3375}),
    ],
)  # fmt: skip
def test_money_is_told_on_every_basis_and_date(claim: str, figure: str, lines: dict[tuple[str, str], float]) -> None:
    assert per_basis(claim, figure) == pytest.approx(lines, rel=1e-3)


def test_a_claim_on_its_own_basis_holds_while_others_give_another_figure() -> None:
    verdict = recompute(CLAIMS["E1"])
    assert [check.agrees for check in verdict.per_basis] == [True, False, False, False, False]
    assert verdict.checks == verdict.per_basis[:1]


def test_rows_of_weak_sources_are_told() -> None:
    assert any(doubt.startswith("ascend-910b: conflicting") for doubt in recompute(CLAIMS["D9"]).doubts)
    assert [doubt.partition(":")[0] for doubt in recompute(CLAIMS["E2"]).doubts] == [
        "gb200-nvl72-oracle",
        "mi355x-rent",
    ]
    assert recompute(CLAIMS["D4"]).doubts == ("the claim's own figures: unverified",)


def test_the_number_that_travels() -> None:
    low, high = bound_fraction(recompute(CLAIMS["DS7"])) or (0, 0)
    assert (low, high) == pytest.approx((0.37, 0.43), abs=0.005)
    assert bound_fraction(recompute(CLAIMS["A2"])) is None


def words(verdict: Verdict) -> tuple[object, ...]:
    return verdict.verdict, sorted(check.name for check in verdict.checks), verdict.condition


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_figures_and_rows_is_nothing(seed: int) -> None:
    shuffle = random.Random(seed)
    names = shuffle.sample(list(CLAIMS), len(CLAIMS))
    assert {name: recompute(CLAIMS[name]).verdict for name in names} == {
        name: verdict for name, (verdict, _) in EXPECTED.items()
    }
    for claim in CLAIMS.values():
        if claim.inputs.pairs:
            continue  # the first basis is the claim's own: there the order is meant
        found = FORMULAS[claim.formula](claim)
        assert words(judge(claim, tuple(shuffle.sample(found, len(found))))) == words(judge(claim, found))
