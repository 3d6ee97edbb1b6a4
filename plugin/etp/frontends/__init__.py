# SPDX-License-Identifier: Apache-2.0
"""Front ends say where the bytes are and where the text goes; nothing else."""
