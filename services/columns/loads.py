"""Reads of several bytes at once, which numba's Python cannot express.

They are written in LLVM's terms, so they compile for any processor that numba
supports; all of them are little-endian. `PADDING` bytes follow the data, so that
no read leaves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from services.compiled import inlined, signed, unsigned

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Data = npt.NDArray[Any]

PADDING = 64
"""Zero bytes that follow the data."""

_WIDTH = 16
_SPACE, _QUOTE, _BACKSLASH = 32, 34, 92

# ruff: noqa: ANN401 - numba and LLVM return objects without types


def _intrinsic(typed: Callable[..., Any]) -> Any:
    """Numba's decorator; its own type has the first parameter, which callers do not give."""
    return intrinsic(typed)


def _value(context: Any, builder: Any, signature: Any, arguments: Any, element: Any) -> Any:
    """Load a value of LLVM's type `element` that begins at an index of a uint8 array."""
    array, index = arguments
    first = context.make_array(signature.args[0])(context, builder, array).data
    place = builder.gep(first, [index])
    return builder.load(builder.bitcast(place, element.as_pointer()), align=1)


@_intrinsic
def _load(_: Any, data: Any, at: Any) -> Any:  # noqa: ARG001 - of the signature
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _value(context, builder, signature, arguments, ir.IntType(64))

    return types.uint64(data, types.int64), generate


def _marks(*, signed_bytes: bool) -> Any:
    """Make the intrinsic that marks, in 16 bits, which of 16 bytes end a run of plain text.

    As signed numbers, bytes below 32 are control characters and all that is not ASCII.
    """

    @_intrinsic
    def marks(_: Any, data: Any, at: Any) -> Any:  # noqa: ARG001 - of the signature
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            many = ir.VectorType(ir.IntType(8), _WIDTH)
            found = _value(context, builder, signature, arguments, many)
            quote, backslash, space = (
                ir.Constant(many, [byte] * _WIDTH) for byte in (_QUOTE, _BACKSLASH, _SPACE)
            )
            less = builder.icmp_signed if signed_bytes else builder.icmp_unsigned
            either = builder.or_(
                builder.icmp_unsigned("==", found, quote),
                builder.icmp_unsigned("==", found, backslash),
            )
            bits = builder.bitcast(builder.or_(either, less("<", found, space)), ir.IntType(16))
            return builder.zext(bits, ir.IntType(64))

        return types.uint64(data, types.int64), generate

    return marks


_not_plain = _marks(signed_bytes=True)
_not_raw = _marks(signed_bytes=False)


@_intrinsic
def _zeros(_: Any, word: Any) -> Any:  # noqa: ARG001 - of the signature
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@inlined
def load(data: Data, at: int) -> int:
    """Eight bytes as a uint64, the first byte lowest."""
    return _load(data, at)  # type: ignore[no-any-return]


@inlined
def word_mask(length: int) -> int:
    """All bits of the first `length` bytes of a word: none from 0 down, all from 8 up."""
    if length >= 8:
        return unsigned(-1)
    length = max(length, 0)
    return (unsigned(1) << unsigned(8 * length)) - unsigned(1)


@inlined
def load_masked(data: Data, at: int, length: int) -> int:
    """The first `length` bytes of eight, the others 0."""
    return load(data, at) & word_mask(length)


@inlined
def trailing_zeros(word: int) -> int:
    """Number of zero bits below the lowest that is set; some bit has to be."""
    return signed(_zeros(unsigned(word)))


@inlined
def plain_end(data: Data, at: int) -> int:
    """Index of the next quote, backslash, control character, or byte that is not ASCII."""
    marks = _not_plain(data, at)
    while marks == 0:
        at += _WIDTH
        marks = _not_plain(data, at)
    return at + trailing_zeros(marks)


@inlined
def raw_end(data: Data, at: int) -> int:
    """Index of the next quote, backslash or control character."""
    marks = _not_raw(data, at)
    while marks == 0:
        at += _WIDTH
        marks = _not_raw(data, at)
    return at + trailing_zeros(marks)
