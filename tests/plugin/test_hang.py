# SPDX-License-Identifier: Apache-2.0
"""Ways from one who waits to the next, on made-up ones."""

from types import SimpleNamespace

import pytest

from etp.activity import Activity
from etp.diagnosis.finding import Severity
from etp.diagnosis.hung_services import loggers
from etp.diagnosis.hung_waits import blockers
from etp.diagnosis.thresholds import HUNG_THRESHOLDS
from etp.hang import Hang
from etp.waits import Root, Waiter, Waits
from fakes import FakeTerm
from etp.term_parser import Identifier


def waiter(number, wait="call", behind=0, kind="process"):
    text = {"process": f"<0.{number}.0>", "port": f"#Port<0.{number}>"}[kind]
    return Waiter(kind, number << 12, FakeTerm(Identifier(text)), wait, min(behind, 1), behind, 1)


class FakeVm:
    """Processes by their address, with the names that they are given."""

    def __init__(self, **names):
        self.names = {number << 12: name for name, number in names.items()}

    def process(self, term):
        number = int(str(term).split(".")[1])
        name = self.names.get(number << 12)
        return SimpleNamespace(address=number << 12, name=name, label=name or "", initial_call=None)


def hang_of(paths, roots=(), unlisted=(0, 0, 0), **names):
    waits = Waits(
        list(roots),
        99,
        unlisted,
        {path[0].address: path for path in paths},
        [],
        0,
        {},
        {},
        0,
        0,
        "",
    )
    hang = Hang(FakeVm(**names), waits=waits)
    idle = Activity("waiting", "waits", None, "", [], 0, 0, None)
    hang.activity = lambda address: idle
    return hang


def test_how_many_wait_is_known_of_one_on_the_way():
    middle, end = waiter(2, behind=7), waiter(3, "none", behind=20)
    hang = hang_of([[middle, end]], [Root(end, [], {"call": 1})])
    assert hang.behind(middle.address) == 7 and hang.behind(end.address) == 20
    assert hang.path(middle.address) == [middle, end]
    assert hang.path(end.address) == [] and hang.behind(0x5000) == 0


def test_members_are_those_on_other_branches_too():
    end, longest = waiter(3, "none", behind=20), waiter(4, behind=10)
    side, elsewhere, other = waiter(2, behind=7), waiter(5), waiter(6, "none", behind=1)
    root = Root(end, [longest], {"call": 1})
    hang = hang_of([[longest, end], [side, end], [elsewhere, other]], [root])
    assert hang.members(root) == [end, longest, side]


@pytest.mark.parametrize("name, wait, title", [
    ("code_server", "call", "<0.2.0> code_server and 3 more wait for <0.3.0>"),
    ("init", "exit", "The VM is stopping: <0.2.0> init and 3 more wait for <0.3.0>"),
    ("somebody", "call", None),
])  # fmt: skip
def test_what_everything_rests_on_matters_on_any_branch(name, wait, title):
    end, longest, side = waiter(3, "none", behind=4), waiter(4, behind=2), waiter(2, wait)
    root = Root(end, [longest], {"call": 2})
    found = list(blockers(hang_of([[side, end]], [root], **{name: 2}), HUNG_THRESHOLDS, set()))
    assert [finding.title.startswith(title or "?") for finding in found] == [True] * bool(title)


@pytest.mark.parametrize("unlisted, is_told", [
    ((0, 0, 0), False),
    ((500, 0, 29), False),
    ((500, 0, 30), True),
    ((500, 1, 2), True),
])  # fmt: skip
def test_what_was_not_looked_at_is_told_if_it_may_be_a_cause(unlisted, is_told):
    told = hang_of([], unlisted=unlisted).unjudged(30)
    count, _, behind = unlisted
    sentence = (
        f"Of 99 whom others wait for, {count} were not looked at; at most {behind} wait for one of"
        " these."
    )
    assert told == [sentence] * is_told


def logger(path, mode="sync", port=None):
    hang = hang_of([path], user=3)
    process = SimpleNamespace(address=path[0].address, pid=path[0].term)
    hang.handlers = [SimpleNamespace(process=process, mode=mode, messages=5)]
    if port is not None:
        hang.ports = [port]
    return list(loggers(hang, HUNG_THRESHOLDS, set()))


def test_a_handler_is_told_with_all_that_it_waits_for():
    port = waiter(4, "none", behind=20, kind="port")
    path = [waiter(2, behind=12), waiter(3, "port", behind=13), port]
    facts = {
        "port": port.term,
        "is_busy": True,
        "queue_size": 2048,
        "name": "2/2",
        "registered_name": None,
    }
    (finding,) = logger(path, port=facts)
    assert finding.title.endswith(
        "12 processes wait for it; it waits for <0.3.0> user, which waits for #Port<0.4> 2/2"
    )
    assert finding.evidence[:2] == [
        "That port is busy: nobody takes the 2.0 KiB that wait in its queue.",
        "6 more processes wait for that, or behind.",
    ]
    assert finding.severity == Severity.HANG and finding.behind == 12
    assert finding.explains == {waiter.address for waiter in path}


def test_a_long_way_is_told_in_short():
    path = [waiter(number, behind=number) for number in range(5, 12)]
    (finding,) = logger(path)
    assert finding.title.endswith(
        "it waits for <0.6.0>, which waits for <0.7.0>, which waits for <0.8.0>, and so on, to <0.11.0>"
    )
    assert finding.severity == Severity.LIKELY


@pytest.mark.parametrize("behind, severity", [(0, Severity.STRAIN), (1, Severity.HANG)])
def test_a_handler_that_drops_what_is_logged_holds_up_those_behind_it(behind, severity):
    path = [waiter(2, "port", behind=behind), waiter(4, "none", behind=behind + 1, kind="port")]
    (finding,) = logger(path, mode="drop")
    assert finding.severity == severity
