"""What the oracle remembers of a buffer: bytes of one page, and who stored them."""

from __future__ import annotations

from uemu.abi import PAGE_SIZE
from uemu.events import Held, IoStarted
from uemu.oracle.buffers import Buffer, WatchedIo

MM, OTHER, PFN = 1, 2, 7
BASE = 0x1000_0000
OFFSET, LENGTH = 1024, 512


def buffer() -> Buffer:
    """Half a kilobyte in the middle of a page."""
    return Buffer(Held(MM, BASE + OFFSET, PFN, OFFSET, LENGTH))


def seen(*changes: tuple[int, bytes], fill: bytes = b"I") -> bytes:
    """What a process reads in the buffer, with bytes at offsets of the frame."""
    data = bytearray(fill * LENGTH)
    for offset, text in changes:
        data[offset - OFFSET : offset - OFFSET + len(text)] = text
    return bytes(data)


# What a device wrote


def test_without_a_write_anything_may_be_seen() -> None:
    assert buffer().not_seen(seen()) == []


def test_what_was_written_and_is_there_is_seen() -> None:
    held = buffer()
    held.device_wrote(1100, b"DDD")
    assert held.not_seen(seen((1100, b"DDD"))) == []


def test_what_was_written_and_is_not_there_is_not_seen() -> None:
    held = buffer()
    held.device_wrote(1100, b"DDD")
    assert held.not_seen(seen()) == [1100, 1101, 1102]
    assert held.not_seen(seen((1101, b"D"))) == [1100, 1102]


def test_bytes_that_happen_to_be_the_same_count_as_seen() -> None:
    held = buffer()
    held.device_wrote(1100, b"III")
    assert held.not_seen(seen()) == []


def test_a_whole_buffer_is_seen_or_not() -> None:
    held = buffer()
    held.device_wrote(OFFSET, b"D" * LENGTH)
    assert held.not_seen(seen(fill=b"D")) == []
    assert held.not_seen(seen()) == list(range(OFFSET, OFFSET + LENGTH))


def test_what_was_written_outside_of_the_buffer_is_not_looked_for() -> None:
    held = buffer()
    held.device_wrote(OFFSET - 2, b"xxD")
    held.device_wrote(OFFSET + LENGTH - 1, b"Dxx")
    assert held.not_seen(seen()) == [OFFSET, OFFSET + LENGTH - 1]


def test_nothing_is_looked_for_where_nothing_is_mapped() -> None:
    held = buffer()
    held.device_wrote(1100, b"DDD")
    assert held.not_seen(b"") == []


def test_the_last_write_counts() -> None:
    held = buffer()
    held.device_wrote(1100, b"1111")
    held.device_wrote(1102, b"22")
    assert held.not_seen(seen((1100, b"1122"))) == []
    assert held.not_seen(seen((1100, b"1111"))) == [1102, 1103]


def test_zeros_that_a_device_wrote_are_bytes_as_others() -> None:
    held = buffer()
    held.device_wrote(1100, b"\0\0")
    assert held.not_seen(seen()) == [1100, 1101]


def test_a_device_overwrites_what_others_stored() -> None:
    held = buffer()
    held.foreign = {1099: OTHER, 1100: OTHER, 1102: OTHER, 1103: OTHER}
    held.device_wrote(1100, b"DDD")
    assert held.foreign == {1099: OTHER, 1103: OTHER}


def test_a_device_overwrites_what_the_holder_stored() -> None:
    """Its own stores are noted by address, those of others by offset."""
    held = buffer()
    held.own = {BASE + at for at in (1099, 1100, 1102, 1103)}
    held.device_wrote(1100, b"DDD")
    assert held.own == {BASE + 1099, BASE + 1103}


def test_two_buffers_know_nothing_of_each_other() -> None:
    one, two = buffer(), buffer()
    one.device_wrote(1100, b"D")
    one.foreign[1] = OTHER
    one.own.add(BASE)
    assert (two.not_seen(seen()), two.foreign, two.own) == ([], {}, set())


# What a device read


def test_without_a_read_nothing_is_stale() -> None:
    assert buffer().no_longer_read(seen()) == []


def test_what_was_read_and_is_still_there_is_not_stale() -> None:
    held = buffer()
    held.read = 1100, b"III"
    assert held.no_longer_read(seen()) == []
    assert held.no_longer_read(seen((1101, b"W"))) == [1101]


def test_what_changed_elsewhere_is_not_stale() -> None:
    held = buffer()
    held.read = 1100, b"III"
    assert held.no_longer_read(seen((1099, b"W"), (1103, b"W"))) == []


def test_a_read_beyond_what_is_seen_is_not_compared_there() -> None:
    held = buffer()
    held.read = OFFSET - 1, b"x" * (LENGTH + 2)
    assert held.no_longer_read(seen(fill=b"x")) == []
    assert held.no_longer_read(b"") == []
    assert held.no_longer_read(b"xy") == [OFFSET + 1]


def test_a_read_of_a_whole_page_is_compared_from_its_first_byte() -> None:
    held = Buffer(Held(MM, BASE, PFN, 0, PAGE_SIZE))
    held.read = 0, b"I" * PAGE_SIZE
    changed = bytearray(b"I" * PAGE_SIZE)
    changed[0] = changed[-1] = 0
    assert held.no_longer_read(bytes(changed)) == [0, PAGE_SIZE - 1]


# The whole I/O


def test_an_io_is_itself_and_no_other() -> None:
    """Two that look the same are kept in lists, and one of them is taken out."""
    started = IoStarted("cpu", 1, "o_direct", True, False, False, True, ())
    one, two = (WatchedIo(started, MM, [], {}, []) for _ in range(2))
    assert one != two
    assert [one, two].index(two) == 1
