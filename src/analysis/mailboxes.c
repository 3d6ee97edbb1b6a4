// SPDX-License-Identifier: Apache-2.0
#include <etp/mailboxes.h>

#include <stdlib.h>

#include <etp/signal_queue.h>

#include "vm/vm.h"

static void count_messages(const struct etp_vm *vm, struct etp_reader *reader,
                           struct etp_mailbox *box, struct etp_mailboxes *boxes)
{
	struct etp_signal_iter iter;
	struct etp_signal signal;
	uint64_t save = 0;
	if (HAS(vm, Process, sig_qs_save) &&
	    READ_WORD(vm, reader, box->process, Process, sig_qs_save, &save))
		box->is_looked_at_known = save == box->process + OFFSET(vm, Process, sig_qs_first);
	etp_signal_iter_init(&iter, vm, reader, box->process);
	while (etp_signal_iter_next(&iter, &signal)) {
		bool is_message = signal.kind == ETP_SIGNAL_MESSAGE ||
		                  signal.kind == ETP_SIGNAL_EXTERNAL_MESSAGE;
		if (signal.queue != ETP_SIGNAL_QUEUE_INNER) {
			box->in_transit += is_message;
			continue;
		}
		box->messages += is_message;
		// It points to what points to the message to look at next.
		if (save == signal.address + OFFSET(vm, ErtsMessage, next)) {
			box->looked_at = box->messages;
			box->is_looked_at_known = true;
		}
	}
	boxes->messages += box->messages + box->in_transit;
	boxes->gaps += iter.gaps;
	if (iter.gaps)
		boxes->problem = iter.problem;
}

static uint64_t length(const struct etp_mailbox *box)
{
	return box->messages + box->in_transit;
}

static void keep(struct etp_mailboxes *boxes, size_t limit, const struct etp_mailbox *box)
{
	size_t at = boxes->count;
	if (at == limit) {
		if (!limit || length(&boxes->boxes[at - 1]) >= length(box))
			return;
		at--;
	} else {
		boxes->count++;
	}
	for (; at && length(&boxes->boxes[at - 1]) < length(box); at--)
		boxes->boxes[at] = boxes->boxes[at - 1];
	boxes->boxes[at] = *box;
}

struct etp_error *etp_mailboxes_init(struct etp_mailboxes *boxes, const struct etp_vm *vm,
                                     size_t limit)
{
	*boxes = (struct etp_mailboxes){0};
	const uint64_t *addresses;
	const etp_term *pids;
	size_t count = etp_vm_processes(vm, &addresses, &pids);
	if (limit > count)
		limit = count;
	boxes->boxes = calloc(limit + 1, sizeof(*boxes->boxes));
	if (!boxes->boxes)
		return &etp_error_no_memory;
	struct etp_reader reader;
	etp_reader_init(&reader, vm->target);
	for (size_t i = 0; i < count; i++) {
		struct etp_mailbox box = {.process = addresses[i], .pid = pids[i]};
		count_messages(vm, &reader, &box, boxes);
		if (length(&box))
			keep(boxes, limit, &box);
	}
	return NULL;
}

void etp_mailboxes_deinit(struct etp_mailboxes *boxes)
{
	free(boxes->boxes);
	*boxes = (struct etp_mailboxes){0};
}
