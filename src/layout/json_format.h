// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_LAYOUT_JSON_FORMAT_H
#define ETP_LAYOUT_JSON_FORMAT_H

#define ETP_LAYOUT_FORMAT "etp-layout"

enum {
	// Raised when older readers would misunderstand a file; keys that they
	// can ignore do not raise it.
	ETP_LAYOUT_FORMAT_VERSION = 1,
};

#endif
