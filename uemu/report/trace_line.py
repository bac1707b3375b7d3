r"""An event in a line, as strace writes a call.

    [io] io_started(io=3, api="o_direct", ..., held=[{mm=0, addr=0x7f00e00, pfn=7, ...}])
    device_wrote(io=3, pfn=7, offset=3584, data="\372\372\372\372"... of 512)

Before it stands the CPU it happened on, where it has one. Addresses are
hexadecimal; bytes and lists are shortened; nothing of it is ever folded.
"""

from __future__ import annotations

import re
from typing import Final

from uemu.events import Event

ADDRESSES: Final = frozenset({"addr", "base", "start", "end", "to"})
"""The fields that are user addresses, whatever the event."""

MOST_BYTES: Final = 32
"""So many bytes of data are shown, as strace's -s has it."""

MOST_ITEMS: Final = 16
"""So many items of a list are shown."""

_ESCAPES: Final = {
    ord("\t"): "\\t", ord("\n"): "\\n", ord("\v"): "\\v", ord("\f"): "\\f", ord("\r"): "\\r",
    ord('"'): '\\"', ord("\\"): "\\\\",
}  # fmt: skip


def trace_line(event: Event) -> str:
    """The event in a line, without its end.

    An address space goes by its number and a thread by the name of its CPU:
    ids of processes and threads are the result's to tell.
    """
    fields = event._asdict()
    cpu = fields.pop("cpu", None)
    who = f"[{cpu}] " if cpu else ""
    return f"{who}{event_name(event)}({_fields(fields)})"


def event_name(event: Event) -> str:
    """``fork_copy_began`` of ``ForkCopyBegan``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def _fields(fields: dict[str, object]) -> str:
    return ", ".join(f"{name}={_value(name, value)}" for name, value in fields.items())


def _value(name: str, value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:#x}" if name in ADDRESSES else str(value)
    if isinstance(value, bytes):
        return _quoted(value)
    if isinstance(value, str):
        shown = value if value.isprintable() else value.encode("unicode_escape").decode()
        return f'"{shown}"'
    if hasattr(value, "_asdict"):
        return "{" + _fields(value._asdict()) + "}"
    if isinstance(value, tuple | list):
        items = [_value(name, item) for item in value[:MOST_ITEMS]]
        more = ["..."] if len(value) > MOST_ITEMS else []
        return "[" + ", ".join(items + more) + "]"
    return repr(value)


def _quoted(data: bytes) -> str:
    """Bytes as strace quotes them; of what is cut it says the length."""
    shown = data[:MOST_BYTES]
    text = ""
    for at, byte in enumerate(shown):
        if byte in _ESCAPES:
            text += _ESCAPES[byte]
        elif 0x20 <= byte < 0x7F:
            text += chr(byte)
        else:
            # Short, unless the next character would be read as its last digits.
            is_digit_next = shown[at + 1 : at + 2].isdigit()
            text += f"\\{byte:03o}" if is_digit_next else f"\\{byte:o}"
    more = f"... of {len(data)}" if len(data) > MOST_BYTES else ""
    return f'"{text}"{more}'
