"""The words of a report, each in one sentence: shown beside the word and listed at the end."""

TERMS: dict[str, tuple[str, str]] = {
    "useful": (
        "useful answer",
        "Finished, not empty, not cut in thought, no error in the stream, all latency limits met, "
        "and right where a checker exists.",
    ),
    "yield": (
        "yield",
        "Revenue / cost - 1. +28% means that the tokens of this hour sell for 1.28 times what the hour cost.",
    ),
    "gross_margin": ("gross margin", "1 - cost / revenue. Not the yield: a yield of +545% is a gross margin of 84.5%."),
    "bound": (
        "bound",
        "The ceiling that the hardware sets (memory bandwidth, math, memory size, links) for this run's own prompts, "
        "answers and batch. At this load: for the batch that ran. At the best load: for the largest batch that fits.",
    ),
    "limited_by": (
        "limited by",
        "The resource that sets the bound, and what caps the batch where the batch is what limits.",
    ),
    "batch": (
        "in-flight batch",
        "Requests that were being decoded at the same time, on average. The theory of this load is for this batch.",
    ),
    "fraction": ("measured / theory", "The measured output rate over the bound at this load."),
    "interactivity": ("tok/s/user", "How fast one answer streams: 1 / TPOT, the median over requests."),
    "all_in": ("$/M output, all-in", "The whole cost of the hardware's time, laid on a million output tokens."),
    "blend": (
        "$/M tokens",
        "The card's price per million tokens: at 3 input tokens per output token, at this run's own mix, "
        "and per token of a useful answer.",
    ),
    "ttft": ("TTFT", "Time to first token: request sent until the first reasoning or answer token."),
    "ttfat": ("TTFAT", "Time to the first word of the answer itself, after the thinking."),
    "tpot": ("TPOT", "Time per output token after the first."),
    "itl": ("ITL", "Inter-token latency: the gap between two arrivals of one stream, pooled over all streams."),
    "e2e": ("E2E", "Request sent until the stream ended."),
    "goodput": ("goodput", "Requests per second that met every latency limit."),
    "client_lag": ("client lag", "How late our own client read what had arrived: the measurement's own error."),
    "censored": ("censored", "Still open when the run ended: neither success nor failure, but on the bill."),
    "test_bill": (
        "test bill",
        "All that this test cost, useful or not. Unit costs count the measure window only.",
    ),
    "length_bias": (
        "too low",
        "A short run ends before its long answers do: those that it saw are shorter, so OSL, think time and $ per "
        "answer are too low. Rates of tokens stand.",
    ),
    "demand_limited": (
        "demand-limited",
        "The users asked for less than the endpoint can give, so cost per token says nothing about its best.",
    ),
    "gate": ("gate", "A limit on one number of this run; when it does not hold, the command's exit code is 3."),
    "sampling": ("[a, b]", "95% interval of the sampling error of this run. Declared inputs have their own error."),
}

LATENCY_TERMS = {
    "ttft_s": "ttft",
    "ttfat_s": "ttfat",
    "tpot_s": "tpot",
    "itl_s": "itl",
    "e2e_s": "e2e",
    "client_lag_s": "client_lag",
}
