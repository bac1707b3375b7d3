"""The picture: who maps what, what a device does, all within 79 columns."""

from __future__ import annotations

from uemu.report.scene import FrameView, ProcessView, Scene, draw_scene

OLD = FrameView(0, {0: "C" + "I" * 19, 3584: "from the file"}, 2, 1, ())
NEW = FrameView(1, {0: "P" + "I" * 19, 3584: "I" * 20}, 1024 + 1, 1, ("PG_anon_exclusive",))


def drawn(device: dict[int, str], *, child: bool = True) -> list[str]:
    scene = Scene(
        ProcessView("parent, pid 1", {1: "rw"}),
        ProcessView("child, pid 2", {0: "r-"}) if child else None,
        [OLD, NEW],
        device,
    )
    return draw_scene(scene).plain.splitlines()


def test_an_arrow_goes_from_each_process_to_its_frame() -> None:
    lines = drawn({})
    (old,) = [line for line in lines if "CIII" in line]
    (new,) = [line for line in lines if "PIII" in line]
    assert old.endswith("◀────────── r-")
    assert new.startswith("rw  ─────────────▶ │")


def test_a_device_holds_writes_or_reads_on_the_last_line_of_a_frame() -> None:
    for doing, arrow in (("holds it", " ◀═"), ("writes it", " ◀━"), ("reads it", "━▶ ")):
        (line,) = [line for line in drawn({0: doing}) if "from the file" in line]
        assert arrow in line
        assert line.endswith(doing)


def test_counts_are_in_words_and_pins_apart() -> None:
    lines = drawn({})
    assert any("2 refs, 1 mapping ─┘" in line for line in lines)
    assert any("1 ref + 1 pin, 1 mapping ─┘" in line for line in lines)
    assert any("┌─ pfn 1 ─ PG_anon_exclusive ─" in line for line in lines)


def test_without_a_child_nothing_stands_on_its_side() -> None:
    assert not any("r-" in line for line in drawn({}, child=False))


def test_no_line_is_wider_than_79_columns_or_ends_in_a_space() -> None:
    for line in drawn({0: "writes it"}):
        assert len(line) <= 79
        assert line == line.rstrip()
