"""Takes the raw messages of a subscription; large ones straight into the `bytes` that they are handed out as.

rclpy's own call has rcl put a message into memory of its own, copies that into `bytes` and frees it: of an image of
640x480 a fifth of the work, 60 to 95 of 400 us. Small messages are left to it: 4 us against 7.

The call of rcl and what it takes are as in Jazzy's rcl/subscription.h, rmw/types.h and rcutils/types/uint8_array.h.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

from rclpy.subscription import Subscription

from learned_arm.errors import LearnedArmError

# rcl/types.h and rmw/types.h
_OK, _NOTHING_TAKEN = 0, 401
_NO_SEQUENCE = 2**64 - 1
_ERROR_BYTES = 1024
# A topic whose last message was smaller is rclpy's.
_LARGE_BYTES = 65_536
_Reallocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)


class Taken(NamedTuple):
    """A message as the middleware gave it; stamps in ns, system time. `sequence` is None where nobody counts."""

    data: bytes
    received_ns: int
    source_ns: int
    sequence: int | None


class _Allocator(ctypes.Structure):
    _fields_ = [
        ("allocate", ctypes.c_void_p),
        ("deallocate", ctypes.c_void_p),
        ("reallocate", _Reallocate),
        ("zero_allocate", ctypes.c_void_p),
        ("state", ctypes.c_void_p),
    ]


class _Array(ctypes.Structure):
    _fields_ = [
        ("buffer", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("capacity", ctypes.c_size_t),
        ("allocator", _Allocator),
    ]


class _Info(ctypes.Structure):
    # Behind the numbers: who sent it, in fewer bytes than these.
    _fields_ = [
        ("source_ns", ctypes.c_int64),
        ("received_ns", ctypes.c_int64),
        ("sequence", ctypes.c_uint64),
        ("others", ctypes.c_uint8 * 256),
    ]


class _ErrorString(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * _ERROR_BYTES)]


class _Library:
    """What is called of rcl, rcutils and Python, which this process has loaded already."""

    def __init__(self) -> None:
        rcl, rcutils = ctypes.CDLL("librcl.so"), ctypes.CDLL("librcutils.so")
        self.take = rcl.rcl_take_serialized_message
        self.take.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Array), ctypes.POINTER(_Info), ctypes.c_void_p]
        self.default_allocator = rcutils.rcutils_get_default_allocator
        self.default_allocator.restype = _Allocator
        self.error = rcutils.rcutils_get_error_string
        self.error.restype = _ErrorString
        self.forget_error = rcutils.rcutils_reset_error
        # Bytes of no content yet may be written to, as the documentation of the two says.
        self.new_bytes = ctypes.pythonapi.PyBytes_FromStringAndSize
        self.new_bytes.restype, self.new_bytes.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_ssize_t]
        self.place = ctypes.pythonapi.PyBytes_AsString
        self.place.restype, self.place.argtypes = ctypes.c_void_p, [ctypes.py_object]


class RawTake:
    """Takes from one subscription, by one thread at a time, while its handle is held.

    Args:
        subscription: Of raw messages.
    """

    def __init__(self, subscription: Subscription) -> None:
        self._handle, self._kind = subscription.handle, subscription.msg_type
        self._direct = _direct(subscription)
        self._last_bytes = 0

    def __call__(self) -> Taken | None:
        """The oldest message that waits, None when none does.

        Raises:
            LearnedArmError: The middleware says that it cannot be taken.
        """
        taken = self._by_rclpy() if self._direct is None or self._last_bytes < _LARGE_BYTES else self._direct()
        if taken is not None:
            self._last_bytes = len(taken.data)
        return taken

    def _by_rclpy(self) -> Taken | None:
        found: tuple[bytes, dict[str, Any]] | None = self._handle.take_message(self._kind, True)
        if found is None:
            return None
        data, info = found
        return Taken(data, info["received_timestamp"], info["source_timestamp"], info["publication_sequence_number"])


class _Direct:
    """By rcl's own call.

    Raises:
        OSError: The libraries are called by other names here.
        AttributeError: They have no such calls.
    """

    def __init__(self, subscription: Subscription) -> None:
        self._handle, self._topic = subscription.handle, subscription.topic_name
        self._library = _library()
        self._data = b""
        allocator = self._library.default_allocator()
        allocator.reallocate = _Reallocate(self._make_room)
        self._array, self._info = _Array(allocator=allocator), _Info()
        self._arguments = ctypes.byref(self._array), ctypes.byref(self._info), None

    def __call__(self) -> Taken | None:
        array, info = self._array, self._info
        # Without room, rcl asks for as much as the message has.
        array.buffer, array.length, array.capacity, self._data = None, 0, 0, b""
        result = self._library.take(self._handle.pointer, *self._arguments)
        if result == _NOTHING_TAKEN:
            return None
        if result != _OK:
            said = self._library.error().text.decode(errors="replace")
            self._library.forget_error()
            raise LearnedArmError("cannot take a message", where=self._topic, got=said or result)
        data, self._data = self._data, b""
        sequence = None if info.sequence == _NO_SEQUENCE else info.sequence
        return Taken(data, info.received_ns, info.source_ns, sequence)

    def _make_room(self, _before: int | None, size: int, _state: int | None) -> int:
        """Called by rcl for the content of a message; what it returns is filled."""
        self._data = self._library.new_bytes(None, size)
        return self._library.place(self._data)


def _direct(subscription: Subscription) -> _Direct | None:
    """None where rcl cannot be called like this: then all is rclpy's."""
    try:
        return _Direct(subscription)
    except (OSError, AttributeError):
        return None


@cache
def _library() -> _Library:
    return _Library()
