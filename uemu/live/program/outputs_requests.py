"""What calls write whose argument names one of many requests."""

from __future__ import annotations

from collections.abc import Iterator

from uemu.live.program.outputs_rules import (
    SIZEOF,
    Args,
    Peek,
    Range,
    Row,
    number_at,
    pick,
    row,
    size_t,
    to,
)

IOC_READ = 1 << 31
IOC_SIZEBITS = 14

SEMMSL_BYTES = 2 * 32000
"""The values of the largest set of semaphores: GETALL does not say how many there are."""


def encoded(args: Args, peek: Peek) -> list[Range]:
    """As many bytes as the ioctl's number says, if it says that it reads.

    Linux: include/uapi/asm-generic/ioctl.h.
    """
    request = args[1] & 0xFFFFFFFF
    if not request & IOC_READ:
        return []
    return [(args[2], request >> 16 & (1 << IOC_SIZEBITS) - 1)]


def interfaces(args: Args, peek: Peek) -> Iterator[Range]:
    """struct ifconf: an int, how long the buffer is, and at 8 a pointer to it."""
    yield args[2], SIZEOF["struct ifconf"]
    yield number_at(peek, args[2] + 8, 8), number_at(peek, args[2], 4)


def extents(args: Args, peek: Peek) -> int:
    """struct fiemap and the extents after it, whose number is at 24."""
    count = number_at(peek, args[2] + 24, 4)
    return SIZEOF["struct fiemap"] + count * SIZEOF["struct fiemap_extent"]


# Only those whose number does not tell, or tells wrong.
IOCTLS = (
    # Terminals
    row(0x5401, "TCGETS", to(2, "struct termios")),
    row(0x5405, "TCGETA", to(2, "struct termio")),
    row(0x540F, "TIOCGPGRP", to(2, "int")),
    row(0x5411, "TIOCOUTQ", to(2, "int")),
    row(0x5413, "TIOCGWINSZ", to(2, "struct winsize")),
    row(0x5415, "TIOCMGET", to(2, "int")),
    row(0x5419, "TIOCGSOFTCAR", to(2, "int")),
    row(0x541B, "FIONREAD", to(2, "int")),
    row(0x541E, "TIOCGSERIAL", to(2, "struct serial_struct")),
    row(0x5424, "TIOCGETD", to(2, "int")),
    row(0x5429, "TIOCGSID", to(2, "int")),
    row(0x5456, "TIOCGLCKTRMIOS", to(2, "struct termios")),
    row(0x545D, "TIOCGICOUNT", to(2, "struct serial_icounter_struct")),
    # Files and disks
    row(1, "FIBMAP", to(2, "int")),
    row(2, "FIGETBSZ", to(2, "int")),
    row(0x5460, "FIOQSIZE", to(2, "long")),
    row(0xC020660B, "FS_IOC_FIEMAP", to(2, extents)),
    row(0x301, "HDIO_GETGEO", to(2, "struct hd_geometry")),
    row(0x125E, "BLKROGET", to(2, "int")),
    row(0x1260, "BLKGETSIZE", to(2, "long")),
    row(0x1263, "BLKRAGET", to(2, "long")),
    row(0x1265, "BLKFRAGET", to(2, "long")),
    row(0x1267, "BLKSECTGET", to(2, "short")),
    row(0x1268, "BLKSSZGET", to(2, "int")),
    row(0x1278, "BLKIOMIN", to(2, "int")),
    row(0x1279, "BLKIOOPT", to(2, "int")),
    row(0x127A, "BLKALIGNOFF", to(2, "int")),
    row(0x127B, "BLKPBSZGET", to(2, "int")),
    row(0x127C, "BLKDISCARDZEROES", to(2, "int")),
    row(0x127E, "BLKROTATIONAL", to(2, "short")),
    row(0x4C03, "LOOP_GET_STATUS", to(2, "struct loop_info")),
    row(0x4C05, "LOOP_GET_STATUS64", to(2, "struct loop_info64")),
    # Sockets and interfaces
    row(0x8903, "FIOGETOWN", to(2, "int")),
    row(0x8904, "SIOCGPGRP", to(2, "int")),
    row(0x8905, "SIOCATMARK", to(2, "int")),
    row(0x8906, "SIOCGSTAMP_OLD", to(2, "struct timeval")),
    row(0x8907, "SIOCGSTAMPNS_OLD", to(2, "struct timespec")),
    row(0x894B, "SIOCOUTQNSD", to(2, "int")),
    row(0x8910, "SIOCGIFNAME", to(2, "struct ifreq")),
    row(0x8912, "SIOCGIFCONF", interfaces),
    row(0x8913, "SIOCGIFFLAGS", to(2, "struct ifreq")),
    row(0x8915, "SIOCGIFADDR", to(2, "struct ifreq")),
    row(0x8917, "SIOCGIFDSTADDR", to(2, "struct ifreq")),
    row(0x8919, "SIOCGIFBRDADDR", to(2, "struct ifreq")),
    row(0x891B, "SIOCGIFNETMASK", to(2, "struct ifreq")),
    row(0x891D, "SIOCGIFMETRIC", to(2, "struct ifreq")),
    row(0x8921, "SIOCGIFMTU", to(2, "struct ifreq")),
    row(0x8927, "SIOCGIFHWADDR", to(2, "struct ifreq")),
    row(0x8933, "SIOCGIFINDEX", to(2, "struct ifreq")),
    row(0x8942, "SIOCGIFTXQLEN", to(2, "struct ifreq")),
    row(0x8947, "SIOCGMIIPHY", to(2, "struct ifreq")),
    row(0x8948, "SIOCGMIIREG", to(2, "struct ifreq")),
    row(0x8970, "SIOCGIFMAP", to(2, "struct ifreq")),
    row(0x400454CA, "TUNSETIFF", to(2, "struct ifreq")),
    row(0x800454D2, "TUNGETIFF", to(2, "struct ifreq")),
)

FCNTLS = (
    row(5, "F_GETLK", to(2, "struct flock")),
    row(16, "F_GETOWN_EX", to(2, "struct f_owner_ex")),
    row(17, "F_GETOWNER_UIDS", to(2, "int[2]")),
    row(36, "F_OFD_GETLK", to(2, "struct flock")),
    row(1035, "F_GET_RW_HINT", to(2, "long")),
    row(1037, "F_GET_FILE_RW_HINT", to(2, "long")),
)

PRCTLS = (
    row(2, "PR_GET_PDEATHSIG", to(1, "int")),
    row(16, "PR_GET_NAME", to(1, "char[16]")),
    row(25, "PR_GET_TSC", to(1, "int")),
    row(37, "PR_GET_CHILD_SUBREAPER", to(1, "int")),
    row(40, "PR_GET_TID_ADDRESS", to(1, "long")),
    row(62, "PR_SCHED_CORE", pick(1, [row(0, "PR_SCHED_CORE_GET", to(4, "long"))])),
    row(0x41555856, "PR_GET_AUXV", to(1, size_t(2))),
)

ARCH_PRCTLS = (
    row(0x1003, "ARCH_GET_FS", to(1, "long")),
    row(0x1004, "ARCH_GET_GS", to(1, "long")),
    row(0x1021, "ARCH_GET_XCOMP_SUPP", to(1, "long")),
    row(0x1022, "ARCH_GET_XCOMP_PERM", to(1, "long")),
    row(0x1024, "ARCH_GET_XCOMP_GUEST_PERM", to(1, "long")),
    row(0x4001, "ARCH_GET_UNTAG_MASK", to(1, "long")),
    row(0x4003, "ARCH_GET_MAX_TAG_BITS", to(1, "long")),
    row(0x5005, "ARCH_SHSTK_STATUS", to(1, "long")),
)

# Waiting and waking only look: what they compare is read.
FUTEXES = (
    row(5, "FUTEX_WAKE_OP", to(4, "int")),
    row(6, "FUTEX_LOCK_PI", to(0, "int")),
    row(7, "FUTEX_UNLOCK_PI", to(0, "int")),
    row(8, "FUTEX_TRYLOCK_PI", to(0, "int")),
    row(11, "FUTEX_WAIT_REQUEUE_PI", to(4, "int")),
    row(12, "FUTEX_CMP_REQUEUE_PI", to(4, "int")),
    row(13, "FUTEX_LOCK_PI2", to(0, "int")),
)
FUTEX_CMD_MASK = 0xFFFFFFFF & ~(128 | 256)
"""All but FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME."""

SHMCTLS = (
    row(2, "IPC_STAT", to(2, "struct shmid64_ds")),
    row(3, "IPC_INFO", to(2, "struct shminfo64")),
    row(13, "SHM_STAT", to(2, "struct shmid64_ds")),
    row(14, "SHM_INFO", to(2, "struct shm_info")),
    row(15, "SHM_STAT_ANY", to(2, "struct shmid64_ds")),
)

MSGCTLS = (
    row(2, "IPC_STAT", to(2, "struct msqid64_ds")),
    row(3, "IPC_INFO", to(2, "struct msginfo")),
    row(11, "MSG_STAT", to(2, "struct msqid64_ds")),
    row(12, "MSG_INFO", to(2, "struct msginfo")),
    row(13, "MSG_STAT_ANY", to(2, "struct msqid64_ds")),
)

SEMCTLS = (
    row(2, "IPC_STAT", to(3, "struct semid64_ds")),
    row(3, "IPC_INFO", to(3, "struct seminfo")),
    row(13, "GETALL", to(3, SEMMSL_BYTES)),
    row(18, "SEM_STAT", to(3, "struct semid64_ds")),
    row(19, "SEM_INFO", to(3, "struct seminfo")),
    row(20, "SEM_STAT_ANY", to(3, "struct semid64_ds")),
)

KEYCTLS = (
    row(6, "KEYCTL_DESCRIBE", to(2, size_t(3))),
    row(11, "KEYCTL_READ", to(2, size_t(3))),
    row(17, "KEYCTL_GET_SECURITY", to(2, size_t(3))),
)

SECCOMPS = (row(3, "SECCOMP_GET_NOTIF_SIZES", to(2, "struct seccomp_notif_sizes")),)

TABLES: tuple[tuple[Row, ...], ...] = (
    IOCTLS,
    FCNTLS,
    PRCTLS,
    ARCH_PRCTLS,
    FUTEXES,
    SHMCTLS,
    MSGCTLS,
    SEMCTLS,
    KEYCTLS,
    SECCOMPS,
)

REQUESTS = (
    row(16, "ioctl", pick(1, IOCTLS, otherwise=encoded)),
    row(72, "fcntl", pick(1, FCNTLS)),
    row(157, "prctl", pick(0, PRCTLS)),
    row(158, "arch_prctl", pick(0, ARCH_PRCTLS)),
    row(202, "futex", pick(1, FUTEXES, mask=FUTEX_CMD_MASK)),
    row(31, "shmctl", pick(1, SHMCTLS)),
    row(71, "msgctl", pick(1, MSGCTLS)),
    row(66, "semctl", pick(2, SEMCTLS)),
    row(250, "keyctl", pick(0, KEYCTLS)),
    row(317, "seccomp", pick(0, SECCOMPS)),
)
