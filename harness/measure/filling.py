"""Filling: a study of a queued run in, where its window may begin out: not before the queue stood on every worker.

While the queue builds up a part of the endpoint is empty, and its rate is no ceiling. From the moment on at which the
queue stands the endpoint is full, but its requests are all young: their prompts are read, and few end to make room for
the next. So a short rest tells too much: in the simulator's model, with prompts that take a third of the time, 12 %
over a quarter of a median answer, 6 % over a whole one, 3.5 % over two. A rest that is shorter than two tells no rate.
"""

import numpy as np

from harness.measure.figures import Study
from harness.measure.metrics import NS_PER_S
from harness.measure.stats import quantiles
from harness.measure.steady import RATE, Standing
from harness.records import queue_stood_s

#: the rest must be as long as so many median answers, first token to end
MIN_ANSWERS = 2.0


def filling_of(study: Study) -> Standing | None:
    """The rest of the window behind the filling, not yet judged (`steady` None), or that too little is left (False).

    None where there is nothing to leave out: the queue stood by the end of the warm-up, or never (a note of the run
    says NO QUEUE), or there was none.
    """
    manifest, window = study.folder.manifest, study.sheet.window
    stood_s = queue_stood_s(manifest.workers.values())
    if stood_s is None or manifest.stages is None or study.seconds is None:
        return None
    begin_ns = manifest.stages.began_ns + round(stood_s * NS_PER_S)
    if begin_ns <= window.begin_ns:
        return None
    stood = f"the queue stood after {stood_s:.0f} s"
    rest_s = max(window.end_ns - begin_ns, 0) / NS_PER_S
    if rest_s <= MIN_ANSWERS * _answer_s(study) or not _answered(study, begin_ns):
        text = f"{stood}: {rest_s:.0f} s are left, too few for two answers"
        return Standing(steady=False, reason=text, moved=(RATE,))
    left_out = f"the first {study.seconds - rest_s:.0f} of {study.seconds:.0f} s were left out"
    return Standing(steady=None, reason=f"{left_out}: {stood}", begin_ns=begin_ns)


def _answered(study: Study, begin_ns: int) -> bool:
    """Something that was asked from then on was answered."""
    sheet = study.sheet
    return bool((sheet.measured & sheet.delivered & (sheet.sent_ns >= begin_ns)).any())


def _answer_s(study: Study) -> float:
    """Median of the run's answers from their first token to their end; 0 where none came."""
    sheet = study.sheet
    spans = (sheet.ended_ns - sheet.first_ns)[sheet.delivered & sheet.seen]
    return quantiles(spans.astype(np.float64) / NS_PER_S, (0.5,))[0] or 0.0
