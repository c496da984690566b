"""What an isolate remembers of blocks: the bytes of feet and leaves, so many at the most."""

from __future__ import annotations

from collections import OrderedDict

# A leaf has some 4 to 12 KB: this is about what the charts of an hour look into.
REMEMBERED_BYTES_MAX = 8_388_608
FOOT = -1


class DirectoryMemory:
    """
    Bytes of directories, by block and the number of the leaf; FOOT for the foot.

    A block is immutable, and its key never used again, so nothing here gets old.
    """

    def __init__(self, bytes_max: int = REMEMBERED_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._held: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._size

    def find(self, key: str, number: int) -> bytes | None:
        """Return what is remembered; None when it is not."""
        found = self._held.get((key, number))
        if found is not None:
            self._held.move_to_end((key, number))
        return found

    def keep(self, key: str, number: int, data: bytes) -> None:
        """Remember some bytes, and forget those that nobody has asked for the longest."""
        before = self._held.pop((key, number), b"")
        self._held[key, number] = data
        self._size += len(data) - len(before)
        while self._size > self._bytes_max:
            _, oldest = self._held.popitem(last=False)
            self._size -= len(oldest)

    def forget(self, key: str) -> None:
        """Forget a block."""
        for place in [each for each in self._held if each[0] == key]:
            self._size -= len(self._held.pop(place))
