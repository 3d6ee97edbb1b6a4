# SPDX-License-Identifier: Apache-2.0
"""What the numbers of a VM mean: suspects, how they were derived, and what to do about them."""
