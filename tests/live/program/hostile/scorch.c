/* Unmaps all that is mapped into it, one mapping after the other, what it did not ask for too. */
#include "hostile.h"

int main(int argc, char **argv)
{
	static unsigned long starts[512], ends[512];
	unsigned seed = begin(argc, argv, 100);
	unsigned long self = (unsigned long)main;
	unsigned count = 0;
	char line[512];
	FILE *maps;

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	read_direct();
	if (seed % 2)
		thread(reader);
	if (seed % 3 == 0 && fork_here() == 0)
		touch();
	maps = fopen("/proc/self/maps", "r");
	while (count < 512 && fgets(line, sizeof(line), maps)) {
		int mine = strstr(line, "/scorch") || strstr(line, "libc") || strstr(line, "[stack]");
		int ours = strstr(line, "uemu") != NULL;

		if (sscanf(line, "%lx-%lx", &starts[count], &ends[count]) != 2)
			continue;
		if (seed % 4 == 0 ? ours : seed % 4 == 1 ? !mine : seed % 4 == 2 ? !mine && !ours : 1)
			count++;
	}
	for (unsigned i = 0; i < count; i++) {
		if (self >= starts[i] && self < ends[i])
			continue;
		if (chance(6) == 0)
			mprotect((void *)starts[i], ends[i] - starts[i], PROT_NONE);
		else
			syscall(SYS_munmap, starts[i], ends[i] - starts[i]);
		if (chance(4) == 0 && seed % 4 < 3)
			syscall(SYS_pread64, file, buf, PAGE, 0);
	}
	if (syscall(SYS_fork) == 0)
		syscall(SYS_pread64, file, buf, PAGE, 0);
	syscall(SYS_exit_group, 0);
	return 0;
}
