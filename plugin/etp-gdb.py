# SPDX-License-Identifier: Apache-2.0
"""What gdb sources: registers etp's commands.  scripts/install makes gdb do so by itself.

    gdb -x plugin/etp-gdb.py beam.smp core
"""

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
if _here not in sys.path:
    sys.path.insert(0, _here)

from etp.frontends.gdb import register  # noqa: E402 - only now can it be found

register()
