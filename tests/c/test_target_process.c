// SPDX-License-Identifier: Apache-2.0
// Targets that are processes: children of the test, stopped by it or by the library.

#include "elf_builder.h"
#include "traced_child.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <etp/threads.h>

#include "target/live.h"
#include "target/reader.h"
#include "target/tracer.h"

enum { EXTENT = 1 << 18 };

// What a child has in its memory, which is shared with the test where that changes it.
struct child {
	pid_t pid;
	unsigned char *pattern;
	size_t pattern_size;
	// Of a file of one page: the second page cannot be read.
	unsigned char *torn;
	// Counts for as long as the child runs; private to it, and visible to the test.
	volatile uint64_t *counter, *seen;
	// In the same page as `seen`: pthread_self() of its threads but the first, once all are
	// made.
	pthread_t *threads;
	volatile uint64_t *is_complete;
};

enum { MORE_THREADS = 3 };

static unsigned char pattern_at(size_t i)
{
	return (unsigned char)(i * 31 + (i >> 12) * 7 + 1);
}

static void *map(size_t size, int protection, int flags, int fd)
{
	void *bytes = mmap(NULL, size, protection, flags, fd, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	return bytes;
}

static void *spin(void *context)
{
	struct child *child = context;
	for (;;) {
		++*child->counter;
		*child->seen = *child->counter;
		sched_yield();
	}
	return NULL;
}

static void wait_while(const volatile uint64_t *value, uint64_t is)
{
	for (int i = 0; *value == is && i < 10000; i++)
		usleep(1000);
	assert_true(*value != is);
}

// A thread may have been stopped between its reading of the counter and its writing of what it
// read, which is of the past when it goes on.
static void wait_until_seen(const struct child *child, uint64_t counter)
{
	for (int i = 0; *child->seen < counter && i < 10000; i++)
		usleep(1000);
	assert_true(*child->seen >= counter);
}

static int start_child(void **state)
{
	struct child *child = calloc(1, sizeof(*child));
	child->pattern_size = 5 * EXTENT;
	child->pattern =
		map(child->pattern_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	// The last extent is never touched.
	for (size_t i = 0; i < child->pattern_size - EXTENT; i++)
		child->pattern[i] = pattern_at(i);
	assert_int_equal(mprotect(child->pattern + 2 * EXTENT, PAGE, PROT_NONE), 0);
	FILE *file = tmpfile();
	assert_int_equal(ftruncate(fileno(file), PAGE), 0);
	child->torn = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fileno(file));
	child->torn[0] = 42;
	child->counter = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	child->seen = map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	child->is_complete = child->seen + 1;
	child->threads = (pthread_t *)(child->seen + 2);
	child->pid = fork();
	assert_true(child->pid >= 0);
	if (child->pid == 0) {
		for (size_t i = 0; i < MORE_THREADS; i++)
			pthread_create(&child->threads[i], NULL, spin, child);
		*child->is_complete = 1;
		spin(child);
	}
	fclose(file);
	wait_while(child->is_complete, 0);
	wait_while(child->seen, 0);
	*state = child;
	return 0;
}

static int end_child(void **state)
{
	struct child *child = *state;
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	munmap(child->pattern, child->pattern_size);
	munmap(child->torn, 4 * PAGE);
	munmap((void *)child->counter, PAGE);
	munmap((void *)child->seen, PAGE);
	free(child);
	return 0;
}

static struct etp_target *open_child(const struct child *child, bool copy)
{
	const struct etp_process_options options = {.pid = child->pid, .copy = copy};
	struct etp_target *target;
	struct etp_error *err = etp_target_open_process(&options, &target);
	if (err)
		fail_msg("%s", err->message);
	return target;
}

static uint64_t address_of(const volatile void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static void check_memory(const struct child *child, const struct etp_target *target)
{
	uint64_t base = address_of(child->pattern);
	struct etp_reader reader;
	etp_reader_init(&reader, target);
	// From far to near, so that runs of what is known grow in both directions.
	for (size_t i = child->pattern_size; i >= 8; i -= 4104) {
		size_t at = i - 8;
		const unsigned char *bytes = etp_reader_at(&reader, base + at, 8);
		if (at + 8 > 2 * EXTENT && at < 2 * EXTENT + PAGE) {
			assert_null(bytes);
			continue;
		}
		assert_non_null(bytes);
		for (size_t j = 0; j < 8; j++)
			assert_int_equal(bytes[j], at + j < child->pattern_size - EXTENT
			                                   ? pattern_at(at + j)
			                                   : 0);
		if (i < 4104 + 8)
			break;
	}
	assert_false(etp_target_is_missing(target, base + 2 * EXTENT));

	// The border of two extents; a page that cannot be read.
	unsigned char buffer[64];
	assert_null(etp_target_read(target, base + EXTENT - 32, buffer, 64));
	assert_int_equal(buffer[63], pattern_at(EXTENT + 31));
	assert_non_null(etp_reader_at(&reader, address_of(child->torn), PAGE));
	assert_null(etp_target_read(target, address_of(child->torn), buffer, 1));
	assert_int_equal(buffer[0], 42);
	assert_null(etp_reader_at(&reader, address_of(child->torn) + PAGE, 8));
	assert_int_equal(reader.fault_address, address_of(child->torn) + PAGE);
	assert_true(etp_target_is_missing(target, address_of(child->torn) + PAGE));
	struct etp_error *err =
		etp_target_read(target, address_of(child->torn) + PAGE - 8, buffer, 16);
	assert_non_null(err);
	assert_int_equal(err->address, address_of(child->torn) + PAGE);
	etp_error_destroy(err);
	assert_null(etp_reader_at(&reader, 16, 8));
}

static uint64_t read_word(const struct etp_target *target, const volatile void *p)
{
	uint64_t word;
	assert_null(etp_target_read(target, address_of(p), &word, sizeof(word)));
	return word;
}

static void test_copy(void **state)
{
	struct child *child = *state;
	for (int i = 0; i < 20; i++) {
		struct etp_target *target = open_child(child, true);
		uint64_t counter = read_word(target, child->counter), seen = *child->seen;
		wait_while(child->seen, seen);
		wait_until_seen(child, counter);
		// It runs on, and what was copied stays.
		assert_int_equal(read_word(target, child->counter), counter);
		check_memory(child, target);
		assert_int_equal(read_word(target, child->counter), counter);
		const struct etp_target_info *info = etp_target_info(target);
		assert_int_equal(info->kind, ETP_TARGET_PROCESS);
		assert_int_equal(info->pid, child->pid);
		assert_int_equal(info->thread_count, 4);
		assert_true(info->pause_ns > 0);
		assert_int_equal(info->warning_count, 0);
		assert_int_equal(info->bytes_total, info->bytes_saved + info->bytes_from_files +
		                                            info->bytes_missing +
		                                            info->bytes_reserved);
		etp_target_destroy(target);
	}
}

static bool contains(const struct etp_target_range *ranges, size_t count, uint64_t address)
{
	for (size_t i = 0; i < count; i++)
		if (address >= ranges[i].start && address - ranges[i].start < ranges[i].size)
			return true;
	return false;
}

static const char constant[2 * PAGE] = "constant";

static void test_rehearsal(void **state)
{
	struct child *child = *state;
	uint64_t base = address_of(child->pattern);
	uint64_t used = base + EXTENT, unused = (base + 3 * EXTENT) & ~(uint64_t)(EXTENT - 1);
	struct etp_process_options options = {.pid = child->pid, .rehearsal = true};
	struct etp_target *target;
	assert_null(etp_target_open_process(&options, &target));
	read_word(target, child->counter);
	unsigned char byte;
	assert_null(etp_target_read(target, used, &byte, 1));
	assert_int_equal(etp_target_info(target)->pause_ns, 0);
	struct etp_target_range *ranges;
	size_t count;
	assert_null(etp_target_unused(target, &ranges, &count));
	assert_false(etp_target_has_missed(target));
	for (size_t i = 0; i < count; i++)
		assert_int_equal((ranges[i].start | ranges[i].size) % PAGE, 0);
	assert_true(contains(ranges, count, unused));
	assert_true(contains(ranges, count, unused + EXTENT - 1));
	assert_false(contains(ranges, count, used));
	// What is only read can be left out whatever is in use of it.
	assert_true(contains(ranges, count, address_of(constant)));
	assert_false(contains(ranges, count, address_of(child->counter)));
	// Never touched, so that there is nothing to be left out.
	assert_false(contains(ranges, count, base + 5 * EXTENT - 1));
	etp_target_destroy(target);

	options = (struct etp_process_options){
		.pid = child->pid, .copy = true, .without = ranges, .without_count = count};
	assert_null(etp_target_open_process(&options, &target));
	wait_until_seen(child, read_word(target, child->counter));
	assert_null(etp_target_read(target, used, &byte, 1));
	assert_int_equal(byte, pattern_at(EXTENT));
	assert_null(etp_target_read(target, base + 5 * EXTENT - 1, &byte, 1));
	// What a copy never has is not missed.
	struct etp_reader reader;
	etp_reader_init(&reader, target);
	assert_null(etp_reader_at(&reader, 16, 8));
	assert_null(etp_reader_at(&reader, address_of(child->torn) + PAGE, 8));
	assert_false(etp_target_has_missed(target));
	assert_null(etp_reader_at(&reader, unused, 1));
	assert_true(etp_target_has_missed(target));
	etp_target_destroy(target);

	ranges[0] = (struct etp_target_range){UINT64_MAX, 2};
	struct etp_error *err = etp_target_open_process(&options, &target);
	assert_non_null(err);
	assert_int_equal(err->kind, ETP_ERROR_ARGUMENT);
	etp_error_destroy(err);
	free(ranges);
}

static size_t read_zeros(void *context, uint64_t address, void *buffer, size_t size)
{
	(void)address;
	*(uint64_t *)context += size;
	memset(buffer, 0, size);
	return size;
}

static void test_rehearsal_without_room(void **state)
{
	(void)state;
	const struct etp_live_mapping mapping = {
		.start = 16 * EXTENT, .size = 4 * EXTENT, .flags = PF_R, .is_wanted = true};
	uint64_t done = 0;
	struct etp_live *live;
	assert_null(etp_live_create(&mapping, 1, read_zeros, &done, &live));
	assert_null(etp_live_rehearse(live, -1, 2 * EXTENT + 1));
	struct etp_segment segment;
	assert_true(etp_live_find(live, mapping.start, &segment));
	assert_true(etp_live_find(live, mapping.start + 3 * EXTENT, &segment));
	assert_false(etp_live_has_missed(live));
	assert_false(etp_live_find(live, mapping.start + EXTENT, &segment));
	assert_true(etp_live_has_missed(live));
	assert_true(etp_live_find(live, mapping.start, &segment));
	assert_int_equal(done, 2 * EXTENT);
	etp_live_destroy(live);
}

static size_t read_own(void *context, uint64_t address, void *buffer, size_t size)
{
	(void)context;
	memcpy(buffer, (void *)(uintptr_t)address, size);
	return size;
}

// Which pages are in use changes between the preparation and the stop.
static void test_what_changes_before_the_copy(void **state)
{
	(void)state;
	unsigned char *bytes =
		map(3 * EXTENT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	uint64_t start = (address_of(bytes) + EXTENT - 1) & ~(uint64_t)(EXTENT - 1);
	unsigned char *full = bytes + (start - address_of(bytes)), *sparse = full + EXTENT;
	madvise(bytes, 3 * EXTENT, MADV_NOHUGEPAGE);
	memset(full, 1, EXTENT);
	memset(sparse, 1, PAGE);
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	assert_true(pagemap >= 0);
	const struct etp_live_mapping mapping = {.start = start,
	                                         .size = 2 * EXTENT,
	                                         .flags = PF_R | PF_W,
	                                         .is_anonymous = true,
	                                         .is_wanted = true};
	struct etp_live *live;
	assert_null(etp_live_create(&mapping, 1, read_own, NULL, &live));
	etp_live_prepare_copy(live, pagemap);

	assert_int_equal(madvise(full + 3 * PAGE, PAGE, MADV_DONTNEED), 0);
	memset(full, 2, PAGE);
	memset(sparse + 5 * PAGE, 3, PAGE);
	assert_null(etp_live_remap(live, &mapping, 1));
	struct etp_live_copy copy = {.pagemap = pagemap};
	assert_null(etp_live_copy(live, &copy));
	etp_live_seal(live);
	memset(full, 4, EXTENT);
	memset(sparse, 4, EXTENT);

	struct etp_segment segment;
	assert_true(etp_live_find(live, start, &segment));
	assert_int_equal(segment.size, 2 * EXTENT);
	enum { PAGES = EXTENT / PAGE };
	unsigned char expected[2 * PAGES] = {0};
	memset(expected, 1, PAGES + 1);
	expected[0] = 2;
	expected[3] = 0;
	expected[PAGES + 5] = 3;
	for (size_t page = 0; page < 2 * PAGES; page++)
		assert_int_equal(segment.bytes[page * PAGE], expected[page]);
	etp_live_destroy(live);
	close(pagemap);
	munmap(bytes, 3 * EXTENT);
}

static void stop(pid_t pid)
{
	kill(pid, SIGSTOP);
	int status;
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
}

static void test_stopped_by_the_caller(void **state)
{
	struct child *child = *state;
	stop(child->pid);
	struct etp_target *target = open_child(child, false);
	check_memory(child, target);
	assert_int_equal(etp_target_info(target)->pause_ns, 0);
	etp_target_destroy(target);

	// One that is stopped already is copied too, and stays stopped.
	target = open_child(child, true);
	check_memory(child, target);
	etp_target_destroy(target);
	uint64_t seen = *child->seen;
	usleep(20000);
	assert_int_equal(*child->seen, seen);
	kill(child->pid, SIGCONT);
	wait_while(child->seen, seen);
}

// As lldb's library sees it: somebody else has stopped it, who alone may read registers.
static void test_threads_of_others_are_told_by_their_stacks(void **state)
{
	struct child *child = *state;
	stop(child->pid);
	struct etp_target *target = open_child(child, false);
	assert_int_equal(etp_target_thread_count(target), 1 + MORE_THREADS);
	size_t found = 0;
	for (size_t i = 0; i <= MORE_THREADS; i++) {
		struct etp_thread_state thread;
		etp_target_thread(target, i, &thread);
		assert_true(thread.is_partial);
		assert_true(thread.tid == child->pid || thread.thread);
		for (size_t j = 0; j < MORE_THREADS; j++)
			found += thread.thread == (uint64_t)child->threads[j];
	}
	assert_int_equal(found, MORE_THREADS);
	etp_target_destroy(target);
}

static void test_signals_are_not_lost(void **state)
{
	struct child *child = *state;
	for (int i = 0; i < 50; i++) {
		struct etp_target *target = open_child(child, true);
		etp_target_destroy(target);
	}
	kill(child->pid, SIGTERM);
	int status;
	// It may meet a copy, which then has no process, or one that ends.
	const struct etp_process_options options = {.pid = child->pid, .copy = true};
	struct etp_target *target = NULL;
	etp_error_destroy(etp_target_open_process(&options, &target));
	etp_target_destroy(target);
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void test_killed_while_stopped(void **state)
{
	struct child *child = *state;
	struct etp_tracer *tracer;
	assert_null(etp_tracer_stop(child->pid, &tracer));
	kill(child->pid, SIGKILL);
	etp_tracer_release(tracer);
	// It would be told of no end as long as a thread is somebody's to wait for.
	int status;
	assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

// What a thread of its own counts while the first one waits for a child of vfork(), in which
// nothing but SIGKILL reaches it.
struct stuck {
	volatile uint64_t counted, returned;
};

static void *count(void *context)
{
	struct stuck *stuck = context;
	for (;;) {
		stuck->counted++;
		sched_yield();
	}
	return NULL;
}

static void become_stuck(struct stuck *stuck, const int gate[2])
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(gate[1]);
	pthread_t thread;
	pthread_create(&thread, NULL, count, stuck);
	if (vfork() == 0) {
		char byte;
		_exit((int)read(gate[0], &byte, 1));
	}
	stuck->returned = 1;
	for (;;)
		pause();
}

static char state_of(pid_t pid)
{
	char path[32], state = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
	fclose(file);
	return state;
}

static void test_a_thread_that_cannot_be_stopped_goes_on(void **state)
{
	(void)state;
	int gate[2];
	assert_int_equal(pipe(gate), 0);
	struct stuck *stuck = map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	pid_t pid = fork();
	if (pid == 0)
		become_stuck(stuck, gate);
	close(gate[0]);
	for (int i = 0; state_of(pid) != 'D' && i < 10000; i++)
		usleep(1000);
	const struct etp_process_options options = {.pid = pid, .copy = true};
	struct etp_target *target;
	assert_null(etp_target_open_process(&options, &target));
	const struct etp_target_info *info = etp_target_info(target);
	assert_int_equal(info->thread_count, 2);
	assert_int_equal(info->warning_count, 1);
	assert_non_null(strstr(info->warnings[0], "1 of its threads wait"));
	// What could be stopped runs, and the other one when it has got what it waited for,
	// although we are still there.
	wait_while(&stuck->counted, stuck->counted);
	assert_int_equal(stuck->returned, 0);
	close(gate[1]);
	wait_while(&stuck->returned, 0);
	etp_target_destroy(target);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(stuck, PAGE);
}

static void *read_all(void *context)
{
	const struct etp_target *target = ((void **)context)[0];
	const struct child *child = ((void **)context)[1];
	struct etp_reader reader;
	etp_reader_init(&reader, target);
	uintptr_t sum = 0;
	for (size_t i = 0; i < child->pattern_size; i += 64) {
		const unsigned char *byte =
			etp_reader_at(&reader, address_of(child->pattern) + i, 1);
		sum += byte ? *byte : 0;
	}
	return (void *)sum;
}

static void test_threads_see_the_same(void **state)
{
	struct child *child = *state;
	stop(child->pid);
	uintptr_t expected = 0;
	for (size_t i = 0; i < child->pattern_size - EXTENT; i += 64)
		if (i < 2 * EXTENT || i >= 2 * EXTENT + PAGE)
			expected += pattern_at(i);
	struct etp_target *target = open_child(child, false);
	void *context[2] = {target, child};
	pthread_t threads[4];
	for (size_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, read_all, context);
	for (size_t i = 0; i < 4; i++) {
		void *sum;
		pthread_join(threads[i], &sum);
		assert_int_equal((uintptr_t)sum, expected);
	}
	etp_target_destroy(target);
}

static void refuse(int pid, const char *said)
{
	const struct etp_process_options options = {.pid = pid, .copy = true};
	struct etp_target *target;
	struct etp_error *err = etp_target_open_process(&options, &target);
	assert_non_null(err);
	if (!strstr(err->message, said))
		fail_msg("%s", err->message);
	etp_error_destroy(err);
}

static void test_errors(void **state)
{
	struct child *child = *state;
	// Another tracer.
	pid_t other = fork();
	if (other == 0) {
		ptrace(PTRACE_SEIZE, child->pid, NULL, NULL);
		kill(getppid(), SIGCONT);
		pause();
		_exit(0);
	}
	char path[32], text[64];
	snprintf(path, sizeof(path), "/proc/%d/status", child->pid);
	snprintf(text, sizeof(text), "traced already, by process %d", other);
	for (int i = 0; i < 1000; i++) {
		char status[4096] = "", tracer[32];
		FILE *file = fopen(path, "re");
		assert_non_null(file);
		assert_true(fread(status, 1, sizeof(status) - 1, file) > 0);
		fclose(file);
		snprintf(tracer, sizeof(tracer), "TracerPid:\t%d", other);
		if (strstr(status, tracer))
			break;
		usleep(1000);
	}
	refuse(child->pid, text);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	uint64_t seen = *child->seen;
	wait_while(child->seen, seen);

	// One that has ended, and one that never was.
	pid_t ended = fork();
	if (ended == 0)
		_exit(0);
	siginfo_t info;
	waitid(P_PID, (id_t)ended, &info, WEXITED | WNOWAIT);
	refuse(ended, "has ended");
	waitpid(ended, NULL, 0);
	refuse(ended, "There is no process");
}

int main(void)
{
	bool allowed;
	end_traced_child(start_traced_child(&allowed));
	if (!allowed) {
		printf("ptrace is not allowed here\n");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copy, start_child, end_child),
		cmocka_unit_test_setup_teardown(test_rehearsal, start_child, end_child),
		cmocka_unit_test(test_rehearsal_without_room),
		cmocka_unit_test(test_what_changes_before_the_copy),
		cmocka_unit_test_setup_teardown(test_stopped_by_the_caller, start_child, end_child),
		cmocka_unit_test_setup_teardown(test_threads_of_others_are_told_by_their_stacks,
	                                        start_child, end_child),
		cmocka_unit_test_setup_teardown(test_signals_are_not_lost, start_child, end_child),
		cmocka_unit_test_setup_teardown(test_killed_while_stopped, start_child, end_child),
		cmocka_unit_test(test_a_thread_that_cannot_be_stopped_goes_on),
		cmocka_unit_test_setup_teardown(test_threads_see_the_same, start_child, end_child),
		cmocka_unit_test_setup_teardown(test_errors, start_child, end_child),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
