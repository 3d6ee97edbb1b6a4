# SPDX-License-Identifier: Apache-2.0
"""The shipped layouts: equal to the DWARF of the builds that they name, and to what gdb says of these."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import _etp
import cores

LAYOUTS = cores.ROOT / "plugin" / "etp" / "layouts"
EXTRACT = cores.ROOT / "scripts" / "extract-layout"
MEMBERS = cores.ROOT / "include" / "etp" / "members.def"
FLAVORS = ("jit", "emu")
# What the structs of a release do not have. None has the resolution of clock ticks, which is a constant on Linux.
LACKING = {
    # What came between it and OTP 25: receive markers, buffers of the inner queue, tags of monitors, other signals for links, the JIT.
    "23": """Atom.bin DbTableHash.nlocks DbTableHashFineLockSlot DistEntry.total_qsize ErlSubBits ErtsCLAData ErtsELink.unlinking
        ErtsILink ErtsMonitorDataTagHeap ErtsNifSelectDataState.err_pid ErtsPausedBifTimer ErtsPausedBifTimers ErtsPausedProcTimer ErtsRecordDefinition
        ErtsRecordInstance ErtsRecvMarker ErtsRecvMarkerBlock ErtsSchedulerData.registers ErtsSchedulerRegisters
        ErtsSigDistUnlinkOp ErtsSigUnlinkOp ErtsSignalInQueueBuffer ErtsSignalInQueueBufferArray ErtsTimeSupData.clktck_resolution
        ErtsTraceSession ErtsTracerRef ExternalThing.pid_num FunRef Port.first_tracer_ref Process.first_tracer_ref
        Process.paused_bif_timers Process.recv_mrk_blk Process.sig_inq_buffers Process.wrt_bins""",
    # Timers of a suspended process stand still since OTP 29 only, and native records are new in it.
    "25": """Atom.bin DistEntry.total_qsize ErlSubBits ErtsPausedBifTimer ErtsPausedBifTimers ErtsPausedProcTimer ErtsRecordDefinition
        ErtsRecordInstance ErtsTimeSupData.clktck_resolution ErtsTraceSession ErtsTracerRef FunRef Port.first_tracer_ref
        Process.first_tracer_ref Process.paused_bif_timers""",
    # Sub-binaries and match states are one since then, funs refer to what they have in common, and tracers are in sessions.
    "27": """Atom.bin ErlBinMatchState ErlFunThing.arity ErlFunThing.creator ErlFunThing.next ErlFunThing.num_free ErlSubBin
        ErtsPausedBifTimer ErtsPausedBifTimers ErtsPausedProcTimer ErtsRecordDefinition ErtsRecordInstance
        ErtsTimeSupData.clktck_resolution Port.tracer ProcBin Process.paused_bif_timers Process.tracer""",
    # A fun has no FunRef of its own any more.
    "29": """ErlBinMatchState ErlFunThing.arity ErlFunThing.creator ErlFunThing.next ErlFunThing.num_free ErlSubBin
        ErtsMonLnkNode.type ErtsTimeSupData.clktck_resolution FunRef Port.tracer ProcBin Process.tracer""",
}
# Why a layout is not taken: a check with a name, members that the release has and the layout does not, or the machine.
REFUSED = r'"[^"]+" failed|does not say where [A-Za-z]+[.]|is for \w+, and this VM ran on \w+'
# Since OTP 28.
BIT_FIELDS = {("HashDbTerm", "hvalue"), ("HashDbTerm", "pseudo_deleted")}

# Run by gdb: prints, for each "types paths" pair of the registry, what gdb makes of it.
ASK_GDB = """
import gdb, json
answers = []
for types, paths in json.load(open(QUESTIONS)):
    found = []
    for type_name in types:
        for path in paths:
            try:
                value = gdb.parse_and_eval("((%s *) 0)->%s" % (type_name, path))
                kind, count = value.type.strip_typedefs(), 1
                while kind.code == gdb.TYPE_CODE_ARRAY:
                    low, high = kind.range()
                    count *= high - low + 1
                    kind = kind.target().strip_typedefs()
                found.append([int(value.address), kind.sizeof, count])
            except gdb.error:
                pass
    answers.append(found)
json.dump(answers, open(ANSWERS, "w"))
"""


def built_beam(flavor):
    beam = cores.built_beam(flavor)
    if not beam.exists():
        pytest.skip(f"{beam} is not there; scripts/build-beam --flavor {flavor} makes it")
    return beam


def shipped(flavor):
    """The layout file of the release under test."""
    found = sorted(LAYOUTS.glob(f"otp-{cores.otp_release()}-*-{cores.machine()}-{flavor}.json"))
    assert len(found) == 1
    return found[0]


def shipped_flavor():
    """What Debian ships: the JIT, if there is one."""
    return "jit" if cores.has_jit() else "emu"


def has_no_symbols():
    """Since OTP 29 the stripped emulator exports no globals."""
    return b"\0etp_otp_release\0" not in cores.installed_beam().read_bytes()


def extract(*arguments, **kwargs):
    # A program with sanitizers brings their runtime itself.
    return subprocess.run(
        [EXTRACT, *arguments], capture_output=True, text=True, env=cores.ENVIRONMENT, **kwargs
    )


def registry():
    """[(struct, member, types, paths)] of members.def."""
    text = MEMBERS.read_text(encoding="utf-8")
    names = dict(re.findall(r'^ETP_STRUCT\((\w+), "([^"]+)"\)', text, re.M))
    members = re.findall(
        r'^ETP_MEMBER\((\w+), (\w+), "([^"]+)", (?:REQUIRED|OPTIONAL)\)', text, re.M
    )
    assert len(members) == len(re.findall(r"^ETP_MEMBER", text, re.M))
    return [
        (
            struct,
            member,
            [t for name in names[struct].split("|") for t in (f"struct {name}", name)],
            path.split("|"),
        )
        for struct, member, path in members
    ]


@pytest.mark.parametrize("path", sorted(LAYOUTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_shipped_file_has_all_members(path):
    """Of today's registry; what it has no place for is what its release lacks."""
    layout = json.loads(path.read_text(encoding="utf-8"))
    structs = layout["structs"]
    members = [(struct, member) for struct, member, _, _ in registry()]
    assert list(structs) == re.findall(r"^ETP_STRUCT\((\w+),", MEMBERS.read_text(), re.M)
    lacking = []
    for struct, found in structs.items():
        if found is None:
            lacking.append(struct)
            continue
        assert list(found["members"]) == [member for of, member in members if of == struct]
        lacking += [
            f"{struct}.{member}" for member, place in found["members"].items() if place is None
        ]
    assert sorted(lacking) == sorted(LACKING[layout["otp_release"]].split())


@pytest.mark.parametrize("flavor", FLAVORS)
def test_shipped_is_that_of_dwarf(flavor):
    result = extract(built_beam(flavor), "--check", shipped(flavor))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("flavor", FLAVORS)
def test_other_flavor_is_told_apart(flavor):
    other = FLAVORS[1 - FLAVORS.index(flavor)]
    built_beam(other)
    result = extract(built_beam(flavor), "--check", shipped(other))
    assert result.returncode == 1
    assert "is not the layout of" in result.stderr and "flavor" in result.stderr


@pytest.mark.parametrize("flavor", FLAVORS)
def test_shipped_is_what_gdb_says(flavor, tmp_path):
    """gdb reads DWARF with code of its own."""
    if shutil.which("gdb") is None or cores.is_emulated():
        pytest.skip("there is no gdb for it")
    beam = built_beam(flavor)
    questions, answers, script = (tmp_path / name for name in ("questions", "answers", "ask.py"))
    members = registry()
    questions.write_text(json.dumps([(types, paths) for _, _, types, paths in members]))
    script.write_text(f"QUESTIONS, ANSWERS = {str(questions)!r}, {str(answers)!r}\n{ASK_GDB}")
    subprocess.run(
        ["gdb", "-nx", "-batch", "-ex", "set language c", "-x", script, beam],
        check=True,
        capture_output=True,
    )

    structs = json.loads(shipped(flavor).read_text(encoding="utf-8"))["structs"]
    wrong = []
    for (struct, member, _, _), found in zip(members, json.loads(answers.read_text())):
        ours = structs[struct] and structs[struct]["members"][member]
        if ours is not None and ours[2] == 0:
            # gdb takes a flexible array for one of one element.
            ours = [ours[0], ours[1], 1]
        if ours is not None and (struct, member) in BIT_FIELDS:
            # gdb gives a bit-field the address and size of the word that it is part of.
            start, size, _ = found[0]
            assert start <= ours[0] and ours[0] + ours[1] <= start + size
            continue
        if ours not in (found or [None]):
            wrong.append((struct, member, ours, found))
    assert not wrong


@pytest.mark.parametrize("flavor", FLAVORS)
def test_extracted_file_is_the_shipped_one(flavor, tmp_path):
    """But for where it came from: a file of today's registry, in today's form."""
    path = tmp_path / "layout.json"
    result = extract(built_beam(flavor), "-o", path, "--origin", "a test")
    assert result.returncode == 0, result.stderr
    ours, theirs = (json.loads(p.read_text(encoding="utf-8")) for p in (path, shipped(flavor)))
    for key in ("origin", "build_id", "also_build_ids", "globals"):
        ours.pop(key, None), theirs.pop(key, None)
    assert ours == theirs


def test_shipped_names_the_stripped_beam(tmp_path):
    """What Debian ships finds its layout by build-id, and was built with the same options."""
    beam, flavor = cores.installed_beam(), shipped_flavor()
    notes = subprocess.run(
        ["readelf", "-n", beam], check=True, capture_output=True, text=True
    ).stdout
    build_id = re.search(r"Build ID: (\w+)", notes).group(1)
    assert build_id in json.loads(shipped(flavor).read_text(encoding="utf-8"))["also_build_ids"]
    result = extract(built_beam(flavor), "-o", tmp_path / "layout.json", "--also-for", beam)
    assert result.returncode == 0, result.stderr
    if flavor == "jit":
        result = extract(built_beam("emu"), "-o", tmp_path / "layout.json", "--also-for", beam)
        said = (
            "is another program"
            if has_no_symbols()
            else f"{cores.machine()}, jit; the layout is of"
        )
        assert result.returncode == 1 and said in result.stderr


@pytest.mark.parametrize("path", sorted(LAYOUTS.glob("*.json")), ids=lambda path: path.stem)
@pytest.mark.parametrize("flavor", ["stripped", "emu"])
def test_a_layout_of_another_build_is_refused(core, path, flavor):
    """By a check that is named, because the release has members that the layout does not know, or by its machine."""
    dump = core("healthy", flavor=flavor)
    arguments = {"core": str(dump.path), "executable": str(dump.executable), "layout": str(path)}
    # Where the globals are, if the executable does not say so.
    arguments["layout_directories"] = [str(LAYOUTS)]
    if path == shipped(shipped_flavor() if flavor == "stripped" else "emu"):
        assert _etp.VM(**arguments).info()["layout_source"] == f"layout file {path}"
        return
    with pytest.raises(_etp.Error, match=REFUSED):
        _etp.VM(**arguments)


@pytest.mark.parametrize(
    "beam, message",
    [
        ("/nonexistent/beam.smp", "No such file or directory"),
        ("/etc/passwd", "is not an ELF file"),
        ("/bin/true", "is not a beam.smp"),
        ("/usr/lib/erlang/erts-13.1.5/bin/beam.smp", "has no debug information (DWARF)"),
    ],
)
def test_errors_are_for_people(beam, message, tmp_path):
    if beam.startswith("/usr/lib/erlang") and not os.path.exists(beam):
        pytest.skip(f"there is no {beam}")
    result = extract(beam, "-o", tmp_path / "layout.json")
    assert result.returncode == 1
    assert message in result.stderr and beam in result.stderr
    assert not list(tmp_path.iterdir())


def test_separate_debug_information(tmp_path):
    """A stripped file with .gnu_debuglink is as good as one with DWARF of its own."""
    if cores.is_emulated():
        pytest.skip("objcopy is for this machine's files")
    beam, debug, stripped = built_beam("emu"), tmp_path / "beam.debug", tmp_path / "beam.smp"
    subprocess.run(["objcopy", "--only-keep-debug", beam, debug], check=True)
    subprocess.run(
        ["objcopy", "--strip-debug", f"--add-gnu-debuglink={debug}", beam, stripped], check=True
    )
    result = extract(stripped, "--check", shipped("emu"))
    assert result.returncode == 0, result.stderr
    result = extract(debug, "-o", tmp_path / "layout.json")
    assert result.returncode == 1 and "separate debug information" in result.stderr


def changed_layout(directory, change, flavor="stripped"):
    """A copy of the layout of what is installed, or of the emulator without a JIT, with other contents."""
    shipped_file = shipped(shipped_flavor() if flavor == "stripped" else flavor)
    layout = json.loads(shipped_file.read_text(encoding="utf-8"))
    change(layout)
    directory.mkdir(exist_ok=True)
    path = directory / "changed.json"
    path.write_text(json.dumps(layout), encoding="utf-8")
    return path


def of_other_version(layout):
    layout["erts_version"] += ".1"
    layout["build_id"] = "00"
    layout["also_build_ids"] = []


def with_layouts_of(dump, directory):
    """Only those, not the executable's own DWARF."""
    return dict(
        core=str(dump.path),
        executable=str(dump.executable),
        layout_directories=[str(directory)],
        use_dwarf=False,
    )


@pytest.mark.parametrize("flavor", ["stripped", "emu"])
def test_the_nearest_version_is_used_if_every_check_holds(core, flavor, tmp_path):
    """... and said so. Where globals are is no question of versions but of build-ids."""
    dump = core("healthy", flavor=flavor)
    changed_layout(tmp_path, of_other_version, flavor)
    vm = _etp.VM(**with_layouts_of(dump, tmp_path))
    info = vm.info()
    assert info["layout_erts_version"] == info["erts_version"] + ".1"
    (warning,) = [text for text in info["warnings"] if "nearest" in text]
    assert f"There is no layout of ERTS {info['erts_version']}." in warning
    (trial,), problem = vm.layouts([str(tmp_path)])
    assert problem is None and trial["match"] == "near" and trial["refusal"] is None


@pytest.mark.parametrize("flavor", ["stripped", "emu"])
def test_the_nearest_version_is_refused_if_a_check_fails(core, flavor, tmp_path):
    dump = core("healthy", flavor=flavor)

    def change(layout):
        of_other_version(layout)
        # As if a member had been put before htop.
        process = layout["structs"]["Process"]
        process["size"] += 8
        first = process["members"]["htop"][0]
        for member in filter(None, process["members"].values()):
            member[0] += 8 if member[0] >= first else 0

    changed_layout(tmp_path, change, flavor)
    target = with_layouts_of(dump, tmp_path)
    with pytest.raises(
        _etp.Error, match='The nearest, changed.json, was tried and does not fit: "[^"]+" failed'
    ):
        _etp.VM(**target)
    (trial,), problem = _etp.layouts(**target)
    assert problem is None and trial["match"] == "near" and " failed " in trial["refusal"]


def test_a_build_without_globals_is_refused(core, tmp_path):
    """Another build of the very same version may have them elsewhere, so that nothing is tried."""
    if not has_no_symbols():
        pytest.skip("the installed emulator exports its globals")
    dump = core("healthy")

    def change(layout):
        of_other_version(layout)
        (found,) = layout["globals"].values()
        layout["globals"] = {"00": found}

    path = changed_layout(tmp_path, change)
    said = "exports no globals of ERTS.* names this very build-id.*extract-layout BEAM --also-for"
    for arguments in ({}, {"layout": str(path)}):
        with pytest.raises(_etp.Error, match=re.compile(said, re.S)):
            _etp.VM(**with_layouts_of(dump, tmp_path), **arguments)


def test_no_layout_says_how_to_make_one(core, tmp_path):
    dump = core("healthy")
    with pytest.raises(_etp.Error) as caught:
        _etp.VM(
            core=str(dump.path), executable=str(dump.executable), layout_directories=[str(tmp_path)]
        )
    for words in ("build-id", "scripts/extract-layout", "etp/layouts", str(tmp_path)):
        assert words in str(caught.value)


def test_all_layouts_on_trial(core):
    """What etp-layouts shows: the one that fits, and why each of the others does not."""
    dump = core("healthy")
    trials, problem = _etp.layouts(
        core=str(dump.path), executable=str(dump.executable), layout_directories=[str(LAYOUTS)]
    )
    assert problem is None
    fitting = [trial for trial in trials if trial["refusal"] is None]
    assert [(trial["path"], trial["match"]) for trial in fitting] == [
        (str(shipped(shipped_flavor())), "build-id")
    ]
    for trial in trials:
        assert trial["refusal"] in (None, "it is for another machine") or re.search(
            REFUSED, trial["refusal"]
        )


def test_globals_are_those_of_the_symbols():
    """Where a stripped emulator exports none, the layout has what the symbols of its equal say."""
    if not has_no_symbols():
        pytest.skip("the installed emulator exports its globals")
    layout = json.loads(shipped(shipped_flavor()).read_text(encoding="utf-8"))
    symbols = subprocess.run(
        ["nm", built_beam(shipped_flavor())], check=True, capture_output=True, text=True
    ).stdout
    addresses = {}
    for line in symbols.splitlines():
        *address, _kind, name = line.split()
        if address:
            addresses.setdefault(name, []).append(int(address[0], 16))
    (found,) = layout["globals"].values()
    assert [name for name, place in found.items() if place and addresses[name] != [place[0]]] == []
    assert found["erts_proc"] and found["erts_atom_table"]


def changed_program(beam, directory, name, content):
    """A copy of the program with another constant; None if it has none of the name."""
    found = re.search(
        rf"^([0-9a-f]+) [Rr] {name}$",
        subprocess.run(["nm", beam], check=True, capture_output=True, text=True).stdout,
        re.M,
    )
    if found is None:
        return None
    headers = subprocess.run(
        ["readelf", "-SW", beam], check=True, capture_output=True, text=True
    ).stdout
    start, offset = (
        int(field, 16) for field in re.search(r" \.rodata +\S+ +(\w+) (\w+)", headers).groups()
    )
    program = bytearray(beam.read_bytes())
    at = int(found[1], 16) - start + offset
    program[at : at + len(content)] = content
    other = directory / "beam.smp"
    other.write_bytes(program)
    return other


@pytest.mark.parametrize("as_of", ["24", "26", "28", "the same"])
def test_debug_information_is_enough(core, tmp_path, as_of):
    """... for a release of which no layout is shipped: as if the program said that it is one whose terms are alike.

    Stripped, it needs a layout, and the message says how to make one.
    """
    if cores.is_emulated():
        pytest.skip("nm is for this machine's files")
    dump = core("healthy", flavor="emu")
    alike = {"24": {"25"}, "26": {"25"}, "28": {"27"}, "the same": {cores.otp_release()}}
    if cores.otp_release() not in alike[as_of]:
        pytest.skip(f"OTP {cores.otp_release()} has other terms than {as_of}")
    release = cores.otp_release() if as_of == "the same" else as_of
    beam = changed_program(dump.executable, tmp_path, "etp_otp_release", release.encode())
    target = dict(core=str(dump.path), layout_directories=[str(tmp_path)])
    vm = _etp.VM(executable=str(beam), **target)
    assert vm.info()["layout_source"] == f"DWARF of {beam}"
    assert vm.info()["otp_release"] == release
    assert {str(table["ref"]) for table in vm.ets_tables()} == dump.truth.tables.keys()
    assert {str(pid) for _, pid in vm.processes()} == dump.truth.processes.keys()
    for table in vm.ets_tables():
        assert table["size"] == dump.truth.tables[str(table["ref"])]["size"]
    subprocess.run(["strip", "--strip-all", beam], check=True)
    with pytest.raises(_etp.Error) as caught:
        _etp.VM(executable=str(beam), **target)
    # Since OTP 29 it does not even say which release it is.
    wanted = (
        ["names this very build-id"]
        if has_no_symbols()
        else [f"one for OTP {release}, ERTS", "has none"]
    )
    for words in (*wanted, "scripts/extract-layout", str(tmp_path)):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "name, value",
    [("etp_fun_subtag", 0x20), ("etp_map_subtag_head_array", 0x6C), ("etp_tag_immed1_small", 3)],
)
def test_other_tags_than_those_of_the_release_are_refused(core, tmp_path, name, value):
    """As of a build of a branch: the constants of the program, which a core does not have, say something else."""
    if cores.is_emulated():
        pytest.skip("nm is for this machine's files")
    dump = core("healthy", flavor="emu")
    other = changed_program(dump.executable, tmp_path, name, value.to_bytes(8, "little"))
    if other is None:
        pytest.skip("no tags are published before OTP 27")
    with pytest.raises(_etp.Error, match=f"its {name} is {value:#x}: it does not have the tags"):
        _etp.VM(core=str(dump.path), executable=str(other))


def test_every_global_is_registered():
    """What the code looks up by name is in globals.def, so that layout files have it."""
    registered = set(
        re.findall(r"^ETP_GLOBAL\((\w+)\)", (MEMBERS.parent / "globals.def").read_text(), re.M)
    )
    used = set()
    for path in [*(cores.ROOT / "src").rglob("*.c"), *(cores.ROOT / "plugin/etp").glob("*.py")]:
        used |= set(re.findall(r'"((?:erts|etp|beam|the)_[a-zA-Z0-9_]+)"', path.read_text()))
    # A process, a function on C stacks, a key of layout files, and names of threads.
    others = {"erts_code_purger", "erts_dirty_process_main", "erts_version"}
    assert used - registered <= others | {"erts_ssig_disp", "erts_smsg_disp"}
    other_prefixes = {
        "drv_ev_state",
        "resource_type_list",
        "saved_emu_args",
        "user_requested_db_max_tabs",
    }
    assert registered - used == other_prefixes
