# SPDX-License-Identifier: Apache-2.0
"""What lldb imports: registers etp's commands.

    lldb -c core beam.smp
    (lldb) command script import plugin/etp_lldb.py
"""

import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
if _here not in sys.path:
    sys.path.insert(0, _here)

from etp.frontends.lldb import register  # noqa: E402 - only now can it be found


def __lldb_init_module(debugger, session):  # lldb calls it
    register(debugger, session)
