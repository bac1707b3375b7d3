/* brk under pages of the heap that are framed, with a transfer in flight or not. */
#define _GNU_SOURCE
#include "behaviour.h"

enum { NR = 8 };

int main(void)
{
	static struct arena arena, other;

	setvbuf(stdout, malloc(BUFSIZ), _IOLBF, BUFSIZ);
	/* Frames that a smaller heap has nothing to do with. */
	arena_start(&other, 2, READ);
	for (int way = PLAIN; way < WAYS; way++) {
		uintptr_t old = (uintptr_t)sbrk(0), start = (old + PAGE - 1) & -PAGE;
		unsigned char *pages = (unsigned char *)start, resident;

		CHECK(brk((void *)(start + NR * PAGE)) == 0);
		arena_of(&arena, pages, NR, (enum way)way);
		CHECK(brk((void *)(start + 4 * PAGE + 10)) == 0);
		CHECK(mincore(pages + 4 * PAGE, PAGE, &resident) == 0);
		CHECK(mincore(pages + 5 * PAGE, PAGE, &resident) == -1 && errno == ENOMEM);
		for (int i = 0; i < 5; i++)
			CHECK(is_filled(pages + i * PAGE, head_byte(i), TAIL));
		CHECK(brk((void *)(start + NR * PAGE)) == 0);
		CHECK(is_filled(pages + 5 * PAGE, 0, 3 * PAGE));
		memset(pages + 5 * PAGE, 'h', 3 * PAGE);
		CHECK(is_filled(pages + 5 * PAGE, 'h', 3 * PAGE));
		arena_end(&arena);
		CHECK(brk((void *)old) == 0);
		printf("%s: the heap shrinks and grows\n", way_name[way]);
	}
	puts("EXIT-SUCCESS");
	return 0;
}
