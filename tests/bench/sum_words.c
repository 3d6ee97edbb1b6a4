// SPDX-License-Identifier: Apache-2.0
// Sum the words of all pages that a core has, by one thread: the least that whatever looks at all
// of them can take. Holes of the file, which are pages of zeros, are left out.
#include <elf.h>
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t sum_extent(int fd, off_t start, off_t end)
{
	size_t size = (size_t)(end - start);
	const uint64_t *words = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, start);
	if (words == MAP_FAILED)
		err(1, "mmap of %zu bytes", size);
	uint64_t sum = 0;
	for (size_t i = 0; i < size / sizeof(*words); i++)
		sum += words[i];
	munmap((void *)words, size);
	return sum;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(1, "usage: sum_words CORE");
	int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	Elf64_Ehdr header;
	if (fd < 0 || pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		errx(1, "%s is no core that can be read", argv[1]);
	uint64_t bytes = 0, sum = 0;
	for (unsigned i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr segment;
		off_t place = (off_t)(header.e_phoff + i * sizeof(segment));
		if (pread(fd, &segment, sizeof(segment), place) != sizeof(segment))
			errx(1, "%s is cut off", argv[1]);
		if (segment.p_type != PT_LOAD)
			continue;
		// Segments of a core, and holes, begin and end where pages do.
		off_t at = (off_t)segment.p_offset, limit = at + (off_t)segment.p_filesz;
		while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && at < limit) {
			off_t hole = lseek(fd, at, SEEK_HOLE);
			off_t end = hole < limit ? hole : limit;
			sum += sum_extent(fd, at, end);
			bytes += (uint64_t)(end - at);
			at = end;
		}
	}
	printf("%llu bytes, sum %llx\n", (unsigned long long)bytes, (unsigned long long)sum);
	return 0;
}
