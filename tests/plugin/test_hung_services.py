# SPDX-License-Identifier: Apache-2.0
"""What is said of handlers of logger, on made-up ones."""

from types import SimpleNamespace

import pytest

from etp.diagnosis.hung_services import loggers
from etp.diagnosis.thresholds import HUNG_THRESHOLDS
from etp.waits import Waiter

HANDLER = 0x2000


def handler_that_waits_for(kind, is_busy=False):
    own = Waiter("process", HANDLER, "HANDLER", "call", 9, 9, 1)
    end = Waiter(kind, 0x1000, "END", "none", 1, 10, 2)
    doing = SimpleNamespace(text="sleeps")
    process = SimpleNamespace(address=HANDLER, pid="HANDLER")
    hang = SimpleNamespace(
        handlers=[SimpleNamespace(process=process, mode="sync", messages=5)],
        path=lambda address: [own, end],
        behind=lambda address: 9,
        activity=lambda address: doing,
        name=str,
        port=lambda term: {"is_busy": is_busy, "queue_size": 2048},
    )
    (finding,) = loggers(hang, HUNG_THRESHOLDS, set())
    return finding


@pytest.mark.parametrize(
    "kind, is_busy, end, said",
    [
        ("process", False, "END", "That one sleeps."),
        (
            "port",
            True,
            "END",
            "That port is busy: nobody takes the 2.0 KiB that wait in its queue.",
        ),
        ("port", False, "END", None),
        ("node", False, "processes of the node END", None),
    ],
)
def test_only_what_is_known_is_said_of_the_device(kind, is_busy, end, said):
    finding = handler_that_waits_for(kind, is_busy)
    assert finding.title.endswith(f"; it waits for {end}")
    assert [e for e in finding.evidence if e.startswith("That")] == [said] * (said is not None)
