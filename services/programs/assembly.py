"""A program as it grows, step by step; equal steps are there once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from services.programs import steps as s
from services.programs.texts import Constants

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

NEVER = -1
"""In the place of a bitmap that is false for all rows."""


class Code(NamedTuple):
    """A program, and the number of registers of each type that it needs."""

    steps: npt.NDArray[Any]  # STEP[steps]
    constants: Constants
    bitmaps: int
    ints: int
    doubles: int


class Assembly:
    """Collects the steps of a program.

    Args:
        values: Number of aggregates' values; the first registers of numbers are for these.

    """

    def __init__(self, values: int) -> None:
        self._steps: list[tuple[int, int, int, int, int, float, int]] = []
        self._known: dict[tuple[object, ...], int] = {}
        self._texts: list[bytes] = []
        self._bitmaps = 0
        self._ints = self._doubles = values

    def code(self) -> Code:
        """Return the program so far."""
        starts = np.cumsum([0, *map(len, self._texts)], dtype=np.int64)
        data = np.frombuffer(bytearray(b"".join(self._texts) or b"\0"), np.uint8)
        constants = Constants(data, starts)
        steps = np.array(self._steps, s.STEP)
        return Code(steps, constants, self._bitmaps, self._ints, self._doubles)

    def bits(
        self,
        operation: int,
        first: int = 0,
        second: int = 0,
        third: int = 0,
        *,
        number: float = 0.0,
        whole: int = 0,
    ) -> int:
        """Add a step that writes a bitmap; return the bitmap."""
        key = (operation, first, second, third, repr(number), whole)
        if key not in self._known:
            self._known[key] = self._bitmaps
            self._steps.append((operation, self._bitmaps, first, second, third, number, whole))
            self._bitmaps += 1
        return self._known[key]

    def ints(
        self, operation: int, first: int = 0, second: int = 0, third: int = 0, *, whole: int = 0
    ) -> int:
        """Add a step that writes integers; return the register."""
        key = (operation, first, second, third, whole)
        if key not in self._known:
            self._known[key] = ~self._ints
            self._steps.append((operation, ~self._ints, first, second, third, 0.0, whole))
            self._ints += 1
        return self._known[key]

    def checked_ints(self, operation: int, first: int, second: int) -> tuple[int, int]:
        """Add arithmetic of integers; return register, and bitmap of the rows without a result."""
        key = ("without result", operation, first, second)
        if key not in self._known:
            self._known[key] = self._bitmaps
            self._bitmaps += 1
        return self.ints(operation, first, second, self._known[key]), self._known[key]

    def doubles(
        self, operation: int, first: int = 0, second: int = 0, third: int = 0, number: float = 0.0
    ) -> int:
        """Add a step that writes doubles; return the register."""
        key = (operation, first, second, third, repr(number))  # 0.0 and -0.0 differ
        if key not in self._known:
            self._known[key] = ~self._doubles
            self._steps.append((operation, ~self._doubles, first, second, third, number, 0))
            self._doubles += 1
        return self._known[key]

    def texts(self, constants: Sequence[str]) -> int:
        """Return the number of the first of some constants that follow each other."""
        added = [constant.encode() for constant in constants]
        for at in range(len(self._texts) - len(added) + 1):
            if self._texts[at : at + len(added)] == added:
                return at
        self._texts += added
        return len(self._texts) - len(added)

    def any_of(self, *bitmaps: int) -> int:
        """Return where one of some bitmaps is true, any of which may be NEVER."""
        found = NEVER
        for bitmap in bitmaps:
            if bitmap != NEVER:
                found = bitmap if found == NEVER else self.bits(s.OR, found, bitmap)
        return found
