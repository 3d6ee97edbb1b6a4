// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_CHAIN_H
#define ETP_CHAIN_H

/**
 * @file
 * Guards a walk along pointers of the core: a chain that comes back to itself is
 * noticed after at most three times its length (Brent's algorithm).
 */

#include <stdbool.h>
#include <stdint.h>

struct etp_chain {
	/** Node to meet again, steps since it was chosen, and steps until the next. */
	uint64_t tortoise, steps, power;
};

/** Begin with all zeros. False when `node` shows that the chain loops. */
static inline bool etp_chain_step(struct etp_chain *chain, uint64_t node)
{
	if (node == chain->tortoise && chain->power)
		return false;
	if (chain->steps++ == chain->power) {
		chain->tortoise = node;
		chain->power = chain->power ? chain->power * 2 : 1;
		chain->steps = 0;
	}
	return true;
}

#endif
