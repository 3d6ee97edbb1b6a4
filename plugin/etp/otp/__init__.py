# SPDX-License-Identifier: Apache-2.0
"""What OTP and Elixir build of processes: states, supervision trees, registries.

    from etp import otp

    found = otp.state(vm, vm.find_process("my_server"))
    if found.term is not None:
        print(found.behaviour, found.module, found.term)
    else:
        print(found.problem)
"""

from __future__ import annotations

from .state import OtpState, state

__all__ = ["OtpState", "state"]
