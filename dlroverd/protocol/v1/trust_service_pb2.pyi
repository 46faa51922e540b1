from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class GetAuthorityRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AuthorityView(_message.Message):
    __slots__ = ("fingerprint", "join")
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    JOIN_FIELD_NUMBER: _ClassVar[int]
    fingerprint: str
    join: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, fingerprint: _Optional[str] = ..., join: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateTokenRequest(_message.Message):
    __slots__ = ("id", "kind", "secret_sha256", "uses", "ttl_s")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SECRET_SHA256_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: str
    secret_sha256: str
    uses: int
    ttl_s: float
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[str] = ..., secret_sha256: _Optional[str] = ..., uses: _Optional[int] = ..., ttl_s: _Optional[float] = ...) -> None: ...

class CreateTokenReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListTokensRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TokenView(_message.Message):
    __slots__ = ("id", "kind", "state", "uses", "joined", "created_at", "expires_at", "actor")
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    JOINED_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: str
    state: str
    uses: int
    joined: _containers.RepeatedScalarFieldContainer[str]
    created_at: float
    expires_at: float
    actor: str
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[str] = ..., state: _Optional[str] = ..., uses: _Optional[int] = ..., joined: _Optional[_Iterable[str]] = ..., created_at: _Optional[float] = ..., expires_at: _Optional[float] = ..., actor: _Optional[str] = ...) -> None: ...

class RevokeTokenRequest(_message.Message):
    __slots__ = ("request_id", "token")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    token: str
    def __init__(self, request_id: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class RevokeTokenReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RevokeCertificatesRequest(_message.Message):
    __slots__ = ("request_id", "name", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    name: str
    reason: str
    def __init__(self, request_id: _Optional[str] = ..., name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RevokeCertificatesReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class EnrolRequest(_message.Message):
    __slots__ = ("token", "secret", "name", "request")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    token: str
    secret: str
    name: str
    request: str
    def __init__(self, token: _Optional[str] = ..., secret: _Optional[str] = ..., name: _Optional[str] = ..., request: _Optional[str] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("certificate", "request")
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    certificate: str
    request: str
    def __init__(self, certificate: _Optional[str] = ..., request: _Optional[str] = ...) -> None: ...

class JoinReply(_message.Message):
    __slots__ = ("certificate", "ca", "daemon")
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    CA_FIELD_NUMBER: _ClassVar[int]
    DAEMON_FIELD_NUMBER: _ClassVar[int]
    certificate: str
    ca: str
    daemon: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, certificate: _Optional[str] = ..., ca: _Optional[str] = ..., daemon: _Optional[_Iterable[str]] = ...) -> None: ...
