"""Secondary MMUs on real processes."""

from __future__ import annotations

import pytest

import uemu


@pytest.mark.parametrize("policy", ["linux-2.6.29", "linux-6.5"])
@pytest.mark.parametrize("kind", ["kvm", "gru"])
def test_a_guest_and_its_process_share_memory_over_reclaim_and_fork(policy: str, kind: str) -> None:
    with uemu.Machine(policy) as machine:
        parent = machine.spawn()
        buf = parent.mmap(uemu.PAGE_SIZE)
        parent.store(buf, b"I" * uemu.PAGE_SIZE)
        guest = machine.dma.secondary(parent, buf, uemu.PAGE_SIZE, kind=kind)
        guest.store(16, b"G")
        assert guest.pfns == (machine.frame_of(parent, buf),)
        assert parent.load(buf + 16, 1) == b"G"
        assert machine.swap_out(parent, buf) == "it is referenced"
        assert machine.swap_out(parent, buf) == "freed"
        assert guest.pfns == (None,)
        parent.store(buf, b"P")
        assert guest.load(0, 17) == b"P" + b"I" * 15 + b"G"
        child = parent.fork()
        guest.store(17, b"H")
        assert (parent.load(buf + 17, 1), child.load(buf + 17, 1)) == (b"H", b"I")
        guest.release()
        machine.check()
        assert not machine.violations


def test_a_guest_of_a_process_that_unmapped_gets_a_fault() -> None:
    with uemu.Machine("linux-2.6.29") as machine:
        parent = machine.spawn()
        buf = parent.mmap(uemu.PAGE_SIZE)
        guest = machine.dma.secondary(parent, buf, uemu.PAGE_SIZE)
        guest.store(0, b"G")
        parent.munmap(buf, uemu.PAGE_SIZE)
        with pytest.raises(uemu.Fault):
            guest.store(0, b"H")
        with pytest.raises(ValueError, match="known: kvm"):
            machine.dma.secondary(parent, buf, uemu.PAGE_SIZE, kind="tpu")
