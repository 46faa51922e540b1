from dlroverd.protocol.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CallRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CallReply(_message.Message):
    __slots__ = ("node", "boot_id")
    NODE_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    node: str
    boot_id: str
    def __init__(self, node: _Optional[str] = ..., boot_id: _Optional[str] = ...) -> None: ...

class GangKey(_message.Message):
    __slots__ = ("job", "role", "gang")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GANG_FIELD_NUMBER: _ClassVar[int]
    job: int
    role: str
    gang: int
    def __init__(self, job: _Optional[int] = ..., role: _Optional[str] = ..., gang: _Optional[int] = ...) -> None: ...

class RoundsRequest(_message.Message):
    __slots__ = ("gangs",)
    GANGS_FIELD_NUMBER: _ClassVar[int]
    gangs: _containers.RepeatedCompositeFieldContainer[GangKey]
    def __init__(self, gangs: _Optional[_Iterable[_Union[GangKey, _Mapping]]] = ...) -> None: ...

class RoundsReply(_message.Message):
    __slots__ = ("log_id", "rounds")
    LOG_ID_FIELD_NUMBER: _ClassVar[int]
    ROUNDS_FIELD_NUMBER: _ClassVar[int]
    log_id: str
    rounds: _containers.RepeatedCompositeFieldContainer[KnownRound]
    def __init__(self, log_id: _Optional[str] = ..., rounds: _Optional[_Iterable[_Union[KnownRound, _Mapping]]] = ...) -> None: ...

class KnownRound(_message.Message):
    __slots__ = ("gang", "newest", "stopped")
    GANG_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    gang: GangKey
    newest: int
    stopped: int
    def __init__(self, gang: _Optional[_Union[GangKey, _Mapping]] = ..., newest: _Optional[int] = ..., stopped: _Optional[int] = ...) -> None: ...

class CodeRequest(_message.Message):
    __slots__ = ("round",)
    ROUND_FIELD_NUMBER: _ClassVar[int]
    round: _common_pb2.RoundKey
    def __init__(self, round: _Optional[_Union[_common_pb2.RoundKey, _Mapping]] = ...) -> None: ...

class CodeReply(_message.Message):
    __slots__ = ("code",)
    CODE_FIELD_NUMBER: _ClassVar[int]
    code: Code
    def __init__(self, code: _Optional[_Union[Code, _Mapping]] = ...) -> None: ...

class Code(_message.Message):
    __slots__ = ("program", "version", "packages", "script", "sha256")
    class PackagesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PROGRAM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    SCRIPT_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    program: str
    version: str
    packages: _containers.ScalarMap[str, str]
    script: str
    sha256: str
    def __init__(self, program: _Optional[str] = ..., version: _Optional[str] = ..., packages: _Optional[_Mapping[str, str]] = ..., script: _Optional[str] = ..., sha256: _Optional[str] = ...) -> None: ...
