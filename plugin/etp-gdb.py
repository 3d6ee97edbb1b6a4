# SPDX-License-Identifier: Apache-2.0
"""What gdb sources: registers etp's commands.  scripts/install makes gdb do so by itself.

    gdb -x plugin/etp-gdb.py beam.smp core
"""

import os
import sys

# gdb leaves __file__ to be that of a Python script that sources this one.
_here = os.path.dirname(os.path.abspath(sys._getframe().f_code.co_filename))
if _here not in sys.path:
    sys.path.insert(0, _here)

from etp.frontends.gdb import register  # noqa: E402 - only now can it be found

register()
