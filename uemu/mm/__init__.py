"""The mechanism: what every kernel here shares.

page, pte, vma, mm_struct   the records, under the kernel's names
frames                      where the bytes are
mmu                         what page tables are applied to; the simulated MMU
locks                       spinlocks and rwsems as cells
mechanism                   references, reverse mapping, set_pte_at, TLB flush
pagevec                     where a fresh page waits for the LRU, if asked for
fault, fork, gup, mprotect, mremap, munmap, adopt
                            the operations, as generators of Steps
reclaim, swap, swapin, ksm, migrate, clear_refs
                            what the kernel does of its own accord
compound, hugetlb, thp, split
                            huge entries, their pages, and how these become small
notifier                    whom the operations tell of entries that go: secondary MMUs
hooks                       the questions a policy answers
check                       invariants

Lock order: mmap_lock, then hugetlb_mutex, then page_table_lock, then a mmu_lock. gup-fast takes
none.
"""
