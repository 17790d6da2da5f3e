"""Content text, delta by delta -> how much of it is reasoning: finds <think> tags split over any boundary.

Three openings are known: the tag comes first; the template had opened it already, so that only the closing tag
appears; no tag at all. In the first two, everything seen so far turns out to be reasoning: `takes_back` says so.

Harmony (gpt-oss) names the channel of every message: `analysis` is reasoning; `final`, and `commentary` with its tool
calls, are answer. The first message that is not analysis ends the thought; analysis behind it counts as answer.
"""

#: Headers of Harmony messages that are no reasoning. That of `commentary` goes on with a recipient.
_HARMONY_ANSWERS = (
    "<|channel|>final<|message|>",
    "<|channel|>final <|constrain|>json<|message|>",
    "<|channel|>commentary",
)

#: Opening and closing tags of the families that think inside their content (DeepSeek R1 and Qwen; assistants
#: that spell it out; Mistral; gpt-oss in Harmony channels; Kimi; Seed).
TAGS = (
    ("<think>", ("</think>",)),
    ("<thinking>", ("</thinking>",)),
    ("[THINK]", ("[/THINK]",)),
    ("<|channel|>analysis<|message|>", _HARMONY_ANSWERS),
    ("<|channel|>analysis to=", _HARMONY_ANSWERS),
    ("<|start|>assistant<|channel|>analysis", _HARMONY_ANSWERS),
    ("◁think▷", ("◁/think▷",)),
    ("<seed:think>", ("</seed:think>",)),
)
#: Closing tags that are believed without an opening one. "[/THINK]" is not: brackets are common in answers.
_CLOSINGS = ("</think>", "</thinking>", *_HARMONY_ANSWERS, "◁/think▷", "</seed:think>")
#: First words of an answer before which nothing was thought.
_THOUGHTLESS = (*_HARMONY_ANSWERS, *(f"<|start|>assistant{header}" for header in _HARMONY_ANSWERS))
_OPENINGS = tuple(opening for opening, _ in TAGS) + _THOUGHTLESS
_FIRST = frozenset(closing[0] for _, closings in TAGS for closing in closings)
_REASONING_LETTER, _ANSWER_LETTER = b"ra"
_OPENING_FIRST = frozenset(opening[0] for opening in _OPENINGS)
_LONGEST_OPENING = max(map(len, _OPENINGS))


class Thought:
    """Feed every content text; get the length of its reasoning part (a prefix of it)."""

    __slots__ = ("_closings", "_lead", "_state", "_tail", "tag", "takes_back")

    _START, _PLAIN, _INSIDE, _ANSWER = range(4)

    def __init__(self) -> None:
        self._state = self._START
        self._lead = ""  # the first text of the content, while it may still become an opening tag
        self._tail = ""  # end of the text before, where a closing tag may have begun
        self._closings: tuple[str, ...] = _CLOSINGS
        self.tag: str | None = None  # by which reasoning was told from the answer
        self.takes_back = False  # the last feed showed that all text before it was reasoning

    @property
    def settled(self) -> bool:
        """Nothing that follows can change what is reasoning and what is answer."""
        return self._state == self._ANSWER

    def apart(self) -> None:
        """Reasoning has come in a field of its own: content is answer, whatever it looks like."""
        self._state = self._ANSWER

    def passes(self, text: str) -> int:
        """The phase letter of `text` where nothing in it can change the phase, however it is cut; else 0."""
        if self._state == self._ANSWER:
            return _ANSWER_LETTER
        if self._state == self._START or self._tail or any(first in text for first in _FIRST):
            return 0
        self.takes_back = False
        return _ANSWER_LETTER if self._state == self._PLAIN else _REASONING_LETTER

    def feed(self, text: str) -> int:
        """How many characters at the start of `text` are reasoning (tags included); the rest is answer."""
        self.takes_back = False
        if self._state == self._ANSWER:
            return 0
        if self._state == self._START:
            return self._open(text)
        if self._state == self._PLAIN and not self._tail and "<" not in text and "◁" not in text:
            return 0
        return self._close(text)

    def _open(self, text: str) -> int:
        self._lead += text
        lead = self._lead.lstrip()
        if lead and lead[0] not in _OPENING_FIRST:  # nearly every answer begins so
            return self._begin_plain(text)
        if lead.startswith(_THOUGHTLESS):
            self._state = self._ANSWER
            return 0
        for opening, closings in TAGS:
            if lead.startswith(opening):
                self._state, self._closings = self._INSIDE, closings
                self.takes_back, self.tag = True, opening
                behind = len(lead) - len(opening)
                return len(text) - behind + self._close(text[len(text) - behind :])
        if len(self._lead) < 4 * _LONGEST_OPENING and any(opening.startswith(lead) for opening in _OPENINGS):
            return 0
        return self._begin_plain(text)

    def _begin_plain(self, text: str) -> int:
        """No opening tag stands first, so a closing one may still come."""
        self._state = self._PLAIN
        lead, self._lead = self._lead, ""
        return max(0, self._close(lead) - (len(lead) - len(text)))

    def _close(self, text: str) -> int:
        window = self._tail + text
        found = [(at, closing) for closing in self._closings if (at := window.find(closing)) >= 0]
        if not found:
            self._tail = self._begun(window) if not _FIRST.isdisjoint(window) else ""
            return len(text) if self._state == self._INSIDE else 0
        at, closing = min(found)
        self.takes_back = self.takes_back or self._state == self._PLAIN
        self._state = self._ANSWER
        self.tag = self.tag or closing
        return at + len(closing) - len(self._tail)

    def _begun(self, window: str) -> str:
        """The longest end of `window` with which a closing tag may begin."""
        near = max(0, len(window) - max(map(len, self._closings)) + 1)
        for at in range(near, len(window)):
            if window[at] in _FIRST and any(closing.startswith(window[at:]) for closing in self._closings):
                return window[at:]
        return ""
