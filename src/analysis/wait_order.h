// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_WAIT_ORDER_H
#define ETP_ANALYSIS_WAIT_ORDER_H

#include <etp/waits.h>

// Count who is behind whom, and find roots and cycles, from the targets of all waiters. Errors:
// NO_MEMORY.
struct etp_error *wait_order_find(struct etp_waits *waits);

#endif
