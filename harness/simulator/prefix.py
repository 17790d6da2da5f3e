"""PrefixCache: block hashes of prompts already computed -> how many leading tokens of a new prompt are cached."""

from collections import OrderedDict
from collections.abc import Sequence


def prompt_blocks(text: str, block_chars: int) -> tuple[int, ...]:
    """Hashes of the whole leading blocks of a prompt; each one covers everything before it."""
    chain, blocks = 0, []
    for end in range(block_chars, len(text) + 1, block_chars):
        chain = hash((chain, text[end - block_chars : end]))
        blocks.append(chain)
    return tuple(blocks)


class PrefixCache:
    """Bounded set of block hashes, the least recently used leaves first."""

    def __init__(self, capacity_blocks: int) -> None:
        self._capacity = capacity_blocks
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._blocks)

    def hits(self, blocks: Sequence[int], at_most: int) -> int:
        """Number of leading blocks that are here, at most `at_most`; touching them keeps them."""
        found = 0
        for block in blocks[:at_most]:
            if block not in self._blocks:
                break
            self._blocks.move_to_end(block)
            found += 1
        return found

    def store(self, blocks: Sequence[int]) -> None:
        """Remember the blocks of a computed prompt."""
        # The tail goes in first: a prefix must outlive what depends on it, or a later hit ends at a hole.
        for block in reversed(blocks[: self._capacity]):
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > self._capacity:
            self._blocks.popitem(last=False)
