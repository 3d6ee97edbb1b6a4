// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_ANALYSIS_ETS_SCAN_H
#define ETP_ANALYSIS_ETS_SCAN_H

#include <etp/ets_scan.h>

#include "analysis/magic_store.h"

// As etp_ets_scan_run(), with the binaries put into `store`, and the magic ones into `magic`,
// where table number i is holder number i. With NULL the scan has a store of its own.
struct etp_error *ets_scan_run_into(const struct etp_vm *vm, const struct etp_ets_table *tables,
                                    size_t count, const struct etp_ets_scan_options *options,
                                    struct binary_store *store, struct magic_store *magic,
                                    struct etp_ets_scan **ret);

// As etp_census_ets_binaries(): with those that are not listed.
void ets_scan_sum_binaries(const struct etp_ets_scan *scan, uint64_t *count_ret,
                           uint64_t *bytes_ret);

// Were binaries summed up that are not listed?
bool ets_scan_has_forgotten(const struct etp_ets_scan *scan);

#endif
