// SPDX-License-Identifier: Apache-2.0
#ifndef ETP_EXPORT_H
#define ETP_EXPORT_H

/** @file Symbol visibility: the library is built with -fvisibility=hidden. */
#define ETP_EXPORT __attribute__((visibility("default")))

#endif
