"""Conversation: what was said so far in, the next turn's prompt out; and whether there is a next turn at all.

A user of a closed loop holds one conversation after another; with a rate they begin at planned times, in front of a
queue whenever nobody waits who began already. Seed and number fix a conversation's length, its problems and its
pauses, whoever holds it; what the model answers is its own. Each turn asks a new problem behind the whole history:
what the user said and what the model really answered. A turn without an answer to go on from (failed, empty, cut off,
cut in thought) ends its conversation, and so does a history that would not fit into the declared context any more.

Where a workload has no `turns`, every call is a conversation of one turn that carries no number.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from harness.errors import Outcome
from harness.load.calls import Finished
from harness.load.datasets import Messages
from harness.load.dialects import said_by_model
from harness.load.lengths import Lengths, read_lengths, read_pauses
from harness.load.prompts import Prompt, make_prompt, system_message
from harness.load.ruler import Ruler
from harness.load.scenarios import Plan, Workload
from harness.providers import RequestOptions
from harness.records import StreamRecord

#: a tail beyond it is cut
MOST_TURNS = 1_000
#: An answer that the cap cut short is still one to go on from; a reader of half an answer asks on, too.
_GOES_ON = frozenset({Outcome.OK, Outcome.TRUNCATED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all conversations that one process holds have in common."""

    workload: Workload
    seed: int
    run_id: str
    nonce: str  # of one worker in the run
    ruler: Ruler
    request: RequestOptions
    system: Messages = ()
    context_tokens: int | None = None  # None: unknown, and only the server can say that a history is too long


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation before its next turn. `turn` counts from 1; `history`: all messages so far, the system's too."""

    number: int
    turns: int
    turn: int = 1
    history: Messages = ()
    tokens: int = 0  # of the history, as the endpoint counted them


def setting_of(plan: Plan, worker: str) -> Setting:
    """The setting of one worker process; a system prompt is the same for all workers of a run."""
    workload, deployment = plan.scenario.workload, plan.endpoint.deployment
    return Setting(
        workload=workload,
        seed=plan.seed,
        run_id=plan.run_id,
        nonce=f"{plan.run_id}.{worker}",
        ruler=plan.ruler,
        request=plan.endpoint.request,
        system=system_message(workload, plan.run_id, plan.ruler),
        context_tokens=None if deployment is None else deployment.model.context,
    )


def begun(setting: Setting, number: int) -> Conversation:
    """Conversation `number`, with nothing said."""
    turns = turns_of(setting.workload, setting.seed, number)
    return Conversation(number=number, turns=turns, history=setting.system)


def prompt_of(setting: Setting, talk: Conversation) -> Prompt:
    """The next turn: the whole history, and what the user says now."""
    workload, ordinal = setting.workload, ordinal_of(setting, talk)
    nonce = setting.nonce if talk.turn == 1 else None
    said = make_prompt(workload, setting.seed, ordinal, nonce, setting.ruler)
    messages = talk.history + said.messages
    if workload.turns is None:
        return replace(said, messages=messages)
    return replace(said, messages=messages, conversation=talk.number, turn=talk.turn)


def alone(setting: Setting, ordinal: int, workload: Workload) -> Prompt:
    """A call that belongs to no conversation; a trace states the lengths and the blocks of each in `workload`."""
    nonce = setting.run_id if workload.blocks else setting.nonce  # all workers share a trace's blocks
    said = make_prompt(workload, setting.seed, ordinal, nonce, setting.ruler)
    whole = replace(said, messages=setting.system + said.messages)
    if workload is setting.workload or workload.file is not None:
        return whole
    # a trace's answer is as long as the trace says, right or wrong: nothing to check, but its row
    return replace(whole, family="trace", prompt_id=f"trace:{ordinal}")


def continued(
    setting: Setting, talk: Conversation, prompt: Prompt, heard: tuple[StreamRecord, Finished]
) -> Conversation | None:
    """The conversation after the turn that asked `prompt`; None where it is over."""
    record, finished = heard
    if talk.turn == talk.turns or record.outcome not in _GOES_ON or not finished.answer:
        return None
    said = said_by_model(setting.request, finished.answer, finished.reasoning, record.reasoning_field)
    after = replace(
        talk,
        turn=talk.turn + 1,
        history=(*prompt.messages, said),
        tokens=_tokens(setting, record, prompt.messages, said),
    )
    return after if _fits(setting, after) else None


def pause_s(setting: Setting, talk: Conversation) -> float:
    """How long the user thinks after this turn, before it says the next thing or begins anew; seconds."""
    text = setting.workload.think_time
    return 0.0 if text is None else _pauses(text).draw_s(setting.seed, ordinal_of(setting, talk), "think")


def ordinal_of(setting: Setting, talk: Conversation) -> int:
    """Turns are numbered through: those of conversation 0 first. The ordinal fixes problem, lengths and pause."""
    workload = setting.workload
    return turns_before(workload, setting.seed, talk.number) + talk.turn - 1


def turns_of(workload: Workload, seed: int, number: int) -> int:
    """How many turns a conversation has, unless it ends early."""
    return _numbering(workload.turns or "1", seed).turns(number)


def mean_turns(workload: Workload) -> float:
    """Turns of a conversation on average; 1 where every request stands alone."""
    return 1.0 if workload.turns is None else _mean(workload.turns)


def turns_before(workload: Workload, seed: int, number: int) -> int:
    """Turns of all conversations below `number` together: the ordinal of its first turn."""
    return _numbering(workload.turns or "1", seed).first(number)


def most_turns(workload: Workload) -> int:
    """Turns that hardly any conversation exceeds: one in a thousand."""
    return 1 if workload.turns is None else min(MOST_TURNS, read_lengths(workload.turns).at(0.999))


class _Numbering:
    """First ordinals of all conversations of one seed; the list grows as far as somebody asked."""

    def __init__(self, lengths: Lengths, seed: int) -> None:
        self._lengths = lengths
        self._seed = seed
        self._first = [0]

    def turns(self, number: int) -> int:
        return self.first(number + 1) - self.first(number)

    def first(self, number: int) -> int:
        if self._lengths.kind == "fixed":
            return number * self._drawn(number)
        while len(self._first) <= number:
            self._first.append(self._first[-1] + self._drawn(len(self._first) - 1))
        return self._first[number]

    def _drawn(self, number: int) -> int:
        return min(MOST_TURNS, self._lengths.draw(self._seed, number, "turns"))


@lru_cache(maxsize=8)
def _numbering(turns: str, seed: int) -> _Numbering:
    return _Numbering(read_lengths(turns), seed)


@lru_cache(maxsize=8)
def _mean(turns: str) -> float:
    """Of what is really drawn: whole turns, at least one, at most MOST_TURNS; the middle of each ten-thousandth."""
    lengths, count = read_lengths(turns), 10_000
    return sum(min(MOST_TURNS, lengths.at((place + 0.5) / count)) for place in range(count)) / count


_pauses = lru_cache(maxsize=8)(read_pauses)


def _tokens(setting: Setting, record: StreamRecord, asked: Messages, said: dict[str, str]) -> int:
    """Tokens of everything said so far: the endpoint's own count, else by the ruler."""
    answer = record.output_tokens if setting.request.keeps_reasoning else record.answer_tokens
    if record.input_tokens is not None and answer is not None:
        return record.input_tokens + answer
    return _estimated(setting, (*asked, said))


def _fits(setting: Setting, talk: Conversation) -> bool:
    if setting.context_tokens is None:
        return True
    prompt = prompt_of(setting, talk)
    new = _estimated(setting, prompt.messages[len(talk.history) :])
    return talk.tokens + new + prompt.max_tokens <= setting.context_tokens


def _estimated(setting: Setting, messages: Messages) -> int:
    chars = sum(len(text) for message in messages for text in message.values())
    return round(setting.ruler.fixed_tokens + setting.ruler.text_rate * chars)
