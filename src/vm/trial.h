// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_VM_TRIAL_H
#define ETP_VM_TRIAL_H

#include "vm/vm.h"

// Do all self-checks hold with this layout? *refusal_ret is NULL then, else why not, owned by the
// caller. Warns of nothing.
struct etp_error *etp_layout_try(struct etp_target *target, const struct etp_layout *layout,
                                 char **refusal_ret);

// The layout of the nearest ERTS version with which every self-check holds; a warning says so.
// If there is none, the error `none`, and what was tried; else `none` is destroyed.
struct etp_error *etp_layout_nearest(struct etp_target *target,
                                     const struct etp_layout_options *options,
                                     struct etp_error *none, struct etp_layout **ret);

#endif
