// SPDX-License-Identifier: Apache-2.0
// Processes that are copied without being stopped, and those that do not rest for long enough.

#include "elf_builder.h"
#include "traced_child.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <etp/reader.h>

#include "target/rest.h"

enum {
	EXTENT = 1 << 18,
	// So many that a copy looks several times whether it was disturbed.
	EXTENTS = 600,
};

// A child's memory: a word at the beginning of each extent, and a page that comes and goes.
struct child {
	pid_t pid;
	unsigned char *bytes;
	unsigned char *fleeting;
	// How often it has gone through its memory; shared with the test.
	volatile uint64_t *rounds;
};

static void *map(size_t size, int flags)
{
	void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	return bytes;
}

static uint64_t *word(const struct child *child, size_t extent)
{
	return (uint64_t *)(child->bytes + extent * EXTENT);
}

static void go_through(struct child *child, uint64_t round)
{
	if (round % 2)
		*(volatile uint64_t *)child->fleeting = round;
	else
		madvise(child->fleeting, PAGE, MADV_DONTNEED);
	for (size_t i = 0; i < EXTENTS; i++)
		*(volatile uint64_t *)word(child, i) = round;
	*child->rounds = round;
}

static void ignore(int signal)
{
	(void)signal;
}

static void wait_for(const volatile uint64_t *value, uint64_t wanted)
{
	for (int i = 0; *value < wanted && i < 60000; i++)
		usleep(1000);
	assert_true(*value >= wanted);
}

// A child that does not outlive a test that fails.
static pid_t start_process(void)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

// `pause_ns` between two rounds; 0 for a child that makes one and waits for signals.
static struct child *start(long pause_ns)
{
	struct child *child = calloc(1, sizeof(*child));
	assert_non_null(child);
	child->bytes = map((size_t)EXTENTS * EXTENT, MAP_PRIVATE);
	child->fleeting = map(PAGE, MAP_PRIVATE);
	child->rounds = map(PAGE, MAP_SHARED);
	child->pid = start_process();
	if (child->pid == 0) {
		signal(SIGUSR1, ignore);
		const struct timespec time = {.tv_nsec = pause_ns};
		for (uint64_t round = 1; round == 1 || pause_ns; round++) {
			go_through(child, round);
			if (pause_ns)
				nanosleep(&time, NULL);
		}
		for (;;)
			pause();
	}
	wait_for(child->rounds, 1);
	return child;
}

static void end(struct child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	munmap(child->bytes, (size_t)EXTENTS * EXTENT);
	munmap(child->fleeting, PAGE);
	munmap((void *)child->rounds, PAGE);
	free(child);
}

static struct etp_rest *wait_for_rest(const struct child *child)
{
	struct etp_rest *rest = NULL;
	for (int i = 0; !rest && i < 60000; i++) {
		rest = etp_rest_begin(child->pid);
		if (!rest)
			usleep(1000);
	}
	assert_non_null(rest);
	return rest;
}

static struct etp_target *copy(const struct child *child)
{
	const struct etp_process_options options = {.pid = child->pid, .copy = true};
	struct etp_target *target;
	struct etp_error *err = etp_target_open_process(&options, &target);
	if (err)
		fail_msg("%s", err->message);
	return target;
}

static uint64_t read_word(const struct etp_target *target, const void *p)
{
	uint64_t value;
	assert_null(etp_target_read(target, (uint64_t)(uintptr_t)p, &value, sizeof(value)));
	return value;
}

// Of one moment: the words before some place are of a round, the others of the one before.
static uint64_t check_moment(const struct child *child, const struct etp_target *target)
{
	uint64_t newest = read_word(target, word(child, 0)), at = newest;
	for (size_t i = 1; i < EXTENTS; i++) {
		uint64_t value = read_word(target, word(child, i));
		assert_true(value == at || (at == newest && value + 1 == newest));
		at = value;
	}
	uint64_t fleeting = read_word(target, child->fleeting);
	if (at == newest && newest % 2)
		assert_true(fleeting == newest || fleeting == 0);
	else if (at == newest)
		assert_true(fleeting == 0 || fleeting == newest + 1);
	else
		assert_int_equal(fleeting, newest % 2 ? newest : 0);
	return newest;
}

static void test_rest(void **state)
{
	(void)state;
	struct child *child = start(0);
	struct etp_rest *rest = wait_for_rest(child);
	assert_true(etp_rest_held(rest));
	assert_true(etp_rest_held(rest));
	// A handler runs, and all is as it was before.
	kill(child->pid, SIGUSR1);
	etp_rest_end(wait_for_rest(child));
	assert_false(etp_rest_held(rest));
	etp_rest_end(rest);

	rest = wait_for_rest(child);
	end(child);
	assert_false(etp_rest_held(rest));
	etp_rest_end(rest);
	etp_rest_end(NULL);
}

static void test_who_executes_does_not_rest(void **state)
{
	(void)state;
	volatile uint64_t *seen = map(PAGE, MAP_SHARED);
	pid_t pid = start_process();
	if (pid == 0)
		for (;;)
			++*seen;
	wait_for(seen, 1);
	for (int i = 0; i < 100; i++)
		assert_null(etp_rest_begin(pid));
	// One that is stopped does.
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	struct etp_rest *rest = etp_rest_begin(pid);
	assert_non_null(rest);
	uint64_t before = *seen;
	assert_true(etp_rest_held(rest));
	assert_int_equal(*seen, before);
	kill(pid, SIGCONT);
	wait_for(seen, before + 1);
	assert_false(etp_rest_held(rest));
	etp_rest_end(rest);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap((void *)seen, PAGE);
}

static void test_copy_at_rest(void **state)
{
	(void)state;
	struct child *child = start(0);
	etp_rest_end(wait_for_rest(child));
	for (int i = 0; i < 3; i++) {
		struct etp_target *target = copy(child);
		assert_true(etp_target_info(target)->copied_at_rest);
		assert_true(etp_target_info(target)->pause_ns > 0);
		assert_int_equal(etp_target_info(target)->warning_count, 0);
		assert_int_equal(check_moment(child, target), 1);
		etp_target_destroy(target);
	}
	end(child);
}

// However often it wakes up: all that a copy has is of one moment.
static void check_restless(long pause_ns)
{
	struct child *child = start(pause_ns);
	uint64_t last = 0;
	for (int i = 0; i < 10; i++) {
		struct etp_target *target = copy(child);
		uint64_t newest = check_moment(child, target);
		assert_true(newest >= last && newest <= *child->rounds + 1);
		last = newest;
		etp_target_destroy(target);
	}
	wait_for(child->rounds, last + 2);
	end(child);
}

static void test_copies_of_the_restless(void **state)
{
	(void)state;
	check_restless(1);
	check_restless(1000000);
	check_restless(20000000);
	check_restless(150000000);
}

int main(void)
{
	bool allowed;
	pid_t probe = start_traced_child(&allowed);
	// A kernel may not tell; then nothing here can be shown.
	struct etp_rest *rest = NULL;
	for (int i = 0; allowed && !rest && i < 1000; i++) {
		rest = etp_rest_begin(probe);
		usleep(1000);
	}
	end_traced_child(probe);
	if (!rest) {
		printf("ptrace or /proc/PID/syscall is not allowed here\n");
		return 77;
	}
	etp_rest_end(rest);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_who_executes_does_not_rest),
		cmocka_unit_test(test_copy_at_rest),
		cmocka_unit_test(test_copies_of_the_restless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
