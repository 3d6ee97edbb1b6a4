# SPDX-License-Identifier: Apache-2.0
"""What etp uses of gdb's Python API, for mypy."""

from collections.abc import Callable
from typing import Any

class error(RuntimeError): ...
class MemoryError(error): ...
class GdbError(Exception): ...

COMMAND_DATA: int
COMMAND_NONE: int
COMPLETE_NONE: int
PARAM_ENUM: int
PARAM_BOOLEAN: int
PARAM_UINTEGER: int
PARAM_OPTIONAL_FILENAME: int
STDOUT: int
STDERR: int

class Command:
    def __init__(
        self,
        name: str,
        command_class: int,
        completer_class: int = ...,
        prefix: bool = ...,
    ) -> None: ...

class Parameter:
    value: Any
    def __init__(
        self, name: str, command_class: int, parameter_class: int, enum_sequence: Any = ...
    ) -> None: ...

class Value:
    type: Any
    address: Value | None
    def __int__(self) -> int: ...

class TargetConnection:
    num: int
    type: str

class Progspace:
    filename: str | None

class InferiorThread:
    ptid: tuple[int, int, int]
    def is_running(self) -> bool: ...
    def switch(self) -> None: ...

class Frame:
    def read_register(self, name: str) -> Value: ...
    def select(self) -> None: ...

class EventRegistry:
    def connect(self, function: Callable[[Any], object]) -> None: ...

class events:
    cont: EventRegistry
    exited: EventRegistry
    inferior_call: EventRegistry
    memory_changed: EventRegistry

class Inferior:
    num: int
    pid: int
    connection: TargetConnection | None
    progspace: Progspace
    def threads(self) -> tuple[InferiorThread, ...]: ...

def selected_inferior() -> Inferior: ...
def selected_thread() -> InferiorThread | None: ...
def selected_frame() -> Frame: ...
def newest_frame() -> Frame: ...
def current_progspace() -> Progspace: ...
def parameter(name: str) -> Any: ...
def execute(command: str, from_tty: bool = ..., to_string: bool = ...) -> str: ...
def parse_and_eval(expression: str) -> Value: ...
def write(text: str, stream: int = ...) -> None: ...
def flush(stream: int = ...) -> None: ...
def host_charset() -> str: ...
