"""What is expected of ``dontfork``."""

from uemu.expected.cell import expect

EXPECTED = (
    expect(
        "linux-2.6.29 redhat-2.6.18 arcangeli-2009-v1 arcangeli-2009-v2 piggin-2009-page "
        "torvalds-2009-directed-cow "
        "kamezawa-2009-dio-lock kosaki-2009-dont-unmap "
        "linux-4.19 linux-5.8 linux-5.9 linux-5.11 hubbard-2021-locked-pages "
        "kara-2021-unmap-if-not-pinned hildenbrand-2021-model1 hildenbrand-2021-model2 "
        "linux-5.19 linux-6.5",
        "",
        "fork skips a VM_DONTCOPY area, so the parent's entry stays writable",
    ),
    expect(
        "piggin-2009-one-reader",
        "",
        "fork skips a VM_DONTCOPY area, so the parent's entry stays writable",
    ),
    expect(
        "torvalds-2009-page-count",
        "fork-blocked",
        "fork takes directio_sem before it looks at any area, so it waits for a read into memory"
        " that it would leave alone",
    ),
    expect(
        "piggin-2009-vma",
        "",
        "fork skips a VM_DONTCOPY area, and gup found every entry of it writable",
    ),
    expect(
        "linux-2.6.7",
        "",
        "fork skips a VM_DONTCOPY area; the advice came with 2.6.16, but the flag was there",
    ),
    expect(
        "linux-2.4-dio-pglock",
        "",
        "fork skips a VM_DONTCOPY area; the advice came with 2.6.16, but the flag was there",
    ),
    expect(
        "arcangeli-2009-page-multiple",
        "",
        "512 bytes are EINVAL, so no device is there; read() stores the bytes (03-11 18:37)",
    ),
    expect(
        "torvalds-2009-mmap-sem torvalds-2009-fork-lock kosaki-2009-directio-sem"
        " kosaki-2009-pinned-sem",
        "fork-blocked",
        "the lock is the mm's and knows no areas: fork waits for I/O to a buffer that it"
        " would leave alone",
    ),
    expect(
        "torvalds-2009-fork-lock:lookup",
        "",
        "fork skips a VM_DONTCOPY area and waits for nothing",
    ),
)
