/*
 * ptrace(2) with the helper's convention: 0, or -errno.
 */
#ifndef UEMU_PTRACE_ERRNO_H
#define UEMU_PTRACE_ERRNO_H

#include <errno.h>
#include <sys/ptrace.h>
#include <sys/types.h>

static inline int ptrace_errno(long request, pid_t tid, unsigned long addr, void *data)
{
	return ptrace(request, tid, (void *)addr, data) == -1 ? -errno : 0;
}

#endif
