/*
 * uemu's native helper: what must be C because it is hot, because it runs
 * inside a traced process, or because Python has no call for it.
 *
 * Every function returns -errno on failure, never prints and never exits.
 * All of them belong to the tracer thread: ptrace(2) obeys one thread only.
 *
 * spawn.c  start a process, traced
 * trace.c  wait, classify, resume
 * inject.c system calls made in a stopped thread of a program
 * bounce.c what a fault is measured against
 * uring.c  completions posted to the io_uring rings of programs
 * stub.c   the code that runs in a tracee: the calls and accesses it is told
 */
#ifndef UEMU_NATIVE_H
#define UEMU_NATIVE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What waitpid(2) reported, in one value. */
enum uemu_kind {
	UEMU_NONE = 0,   /* nothing to report (WNOHANG) */
	UEMU_SEGV,       /* about to get SIGSEGV: addr, code, ip */
	UEMU_TRAP,       /* about to get SIGTRAP, as from int3: ip behind it */
	UEMU_SIGNAL,     /* about to get signal `code` */
	UEMU_EVENT,      /* PTRACE_EVENT_* `code`, message `msg` */
	UEMU_EXITED,     /* gone with status `code` */
	UEMU_KILLED,     /* gone by signal `code` */
	UEMU_SECCOMP,    /* about to make call `nr`: args, ip behind it, addr its stack */
	UEMU_RETURNS,    /* at the end of a call that returns `msg` */
};

struct uemu_event {
	int32_t tid;
	int32_t kind;
	int32_t code;
	int32_t unused;
	uint64_t addr;
	uint64_t ip;
	uint64_t msg;      /* of PTRACE_EVENT_STOP the stop signal, SIGTRAP if none */
	int64_t nr;
	uint64_t args[6];
};

#define UEMU_MAX_RANGES 32
#define UEMU_NR_REGISTERS 17

/* User addresses that are looked at when a call changes mappings there. */
struct uemu_ranges {
	uint32_t count;
	uint64_t start[UEMU_MAX_RANGES], end[UEMU_MAX_RANGES];
};

/* An io_uring of the tracer's own; `fd` is -1 where there is none. */
struct uemu_poster {
	int32_t fd;
	uint32_t sq_tail, cq_head, cqes, cq_mask;
	uint64_t rings_size;
	void *rings, *sqes;
};

/* How a thread goes on. */
enum uemu_how {
	UEMU_CONT = 0,
	UEMU_TO_RETURN,  /* stop again where the call returns */
	UEMU_ONE_STEP,   /* stop again after one instruction */
};

/*
 * The control area: memory that the tracer shares with one traced process,
 * at the same distance from the code in each of its slots, so that the code
 * finds its slot without a register. A thread owns one slot:
 *
 *   area + i * 4096                   code page i, read and execute
 *   area + UEMU_SLOT_AT + i * 4096    struct uemu_slot of thread i
 *   area + UEMU_BUFFER_AT + i * 4096  bytes on their way to or from memory
 */
#define UEMU_SLOTS 64
#define UEMU_SLOT_AT (UEMU_SLOTS * 4096)
#define UEMU_BUFFER_AT (2 * UEMU_SLOTS * 4096)
#define UEMU_AREA_SIZE (3 * UEMU_SLOTS * 4096)
#define UEMU_MAX_CALLS 56

/* One system call to make; `ret` is what it returned. */
struct uemu_call {
	int64_t nr;
	uint64_t args[6];
	int64_t ret;
};

struct uemu_slot {
	uint64_t ip;       /* where `resume` goes on when its calls are made */
	uint64_t count;    /* calls still to make */
	uint64_t addr;     /* user address of an access */
	uint64_t length;   /* bytes of an access */
	uint64_t value;    /* what a 1, 2, 4 or 8 byte access stores or loaded */
	uint64_t saved[16];
	uint64_t pad[11];
	struct uemu_call calls[UEMU_MAX_CALLS];
};

/* Entry points of a code page, as byte offsets from its start. */
struct uemu_entries {
	uint32_t size;       /* bytes of code */
	uint32_t resume;     /* make the calls, put every register back, jump to ip */
	uint32_t calls;      /* make the calls, stop at int3 */
	uint32_t syscall;    /* syscall; int3: registers are set by the tracer */
	uint32_t store_bytes, load_bytes;        /* rep movsb with the buffer page */
	uint32_t store1, store2, store4, store8; /* one mov of `value` */
	uint32_t load1, load2, load4, load8;     /* one mov to `value` */
};

void uemu_stub_entries(struct uemu_entries *entries);
void uemu_stub_copy(void *code_page);

int uemu_spawn(const char *path, char *const argv[], char *const envp[],
	       const int *fds, int nfds, int autoreap);
int uemu_start(const char *path, char *const argv[], char *const envp[]);
int uemu_wait(struct uemu_event *ev, int nohang);
int uemu_next(struct uemu_event *ev, const struct uemu_ranges *ranges, int timeout_ms);
int uemu_poll(pid_t tid, struct uemu_event *ev);
int uemu_stop(pid_t tid, struct uemu_event *ev);
int uemu_wait_for(pid_t tid, struct uemu_event *ev);
int uemu_go(pid_t tid, uint64_t ip, int sig, struct uemu_event *ev);
int uemu_go_call(pid_t tid, uint64_t stub_ip, struct uemu_slot *slot, uint64_t ip,
		 int64_t nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3,
		 uint64_t a4, uint64_t a5, struct uemu_event *ev);
int uemu_cont(pid_t tid, uint64_t ip, int sig);
int uemu_syscall(pid_t tid, uint64_t gadget, int64_t nr, uint64_t a0, uint64_t a1,
		 uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, int64_t *ret);
int uemu_peek(pid_t tid, uint64_t addr, uint64_t *word);
int uemu_poke(pid_t tid, uint64_t addr, uint64_t word);
int uemu_ip(pid_t tid, uint64_t *ip);
int uemu_alone(pid_t tid);
int uemu_kill(pid_t tid);
int uemu_cpu(void);
int uemu_resume(pid_t tid, int how, int sig);
int uemu_interrupt(pid_t tid);
int uemu_listen(pid_t tid);
int uemu_finish_exec(pid_t tid, struct uemu_event *ev);
int uemu_inject(pid_t tid, uint64_t ip, struct uemu_event *ev);
int uemu_return(pid_t tid, int64_t value);
int uemu_replay(pid_t tid);
int uemu_again_if_ignored(pid_t tid, int sig);
int uemu_not_again(pid_t tid, int sig);
int uemu_registers(pid_t tid, uint64_t *values);
int uemu_resumes(pid_t tid);
int uemu_block(pid_t tid, int sig);
int uemu_rseq(pid_t tid, uint64_t *area, uint32_t *size, uint32_t *signature);
int uemu_syscall_of(pid_t tid, int64_t *nr, uint64_t *flags, uint64_t *sp);
int uemu_getfd(pid_t tid, int fd);
int uemu_set_count(pid_t tid, uint64_t count);
int uemu_poster_open(struct uemu_poster *poster);
void uemu_poster_close(struct uemu_poster *poster);
int uemu_post(struct uemu_poster *poster, int ring, uint64_t user_data, int32_t res);
int uemu_same_file(pid_t pid, int fd, pid_t other, int other_fd);
int uemu_bounce(long rounds, double *ns);

#endif
