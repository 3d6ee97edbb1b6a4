// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_TARGET_READER_H
#define ETP_TARGET_READER_H

// The segments behind a reader.

#include <etp/reader.h>

// The segment that holds `address`, without noting a fault. False if none does.
bool etp_target_find_segment(const struct etp_target *target, uint64_t address,
                             struct etp_segment *ret);

// Is `address` in memory that the process had, and that the core lacks? A pointer to
// elsewhere is no pointer.
bool etp_target_is_missing(const struct etp_target *target, uint64_t address);

// The segment that holds `address`, or else the first one above it. False if there is none.
bool etp_target_next_segment(const struct etp_target *target, uint64_t address,
                             struct etp_segment *ret);

#endif
