"""Speaks to systemd (PID 1) over the system bus: calls with a deadline, the services' changes, and coming back.

The bus may restart and PID 1 re-execute itself under running ranks. Then the connection, or systemd's memory of who
wants to hear of changes, is gone: it is made anew, and whoever listens is told to look at everything again.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

_SYSTEMD = "org.freedesktop.systemd1"
_MANAGER_PATH = "/org/freedesktop/systemd1"
_UNITS_PATH = "/org/freedesktop/systemd1/unit"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_SERVICE = "org.freedesktop.systemd1.Service"
_BUS = "org.freedesktop.DBus"
_BUS_PATH = "/org/freedesktop/DBus"
# Changes of services, and that systemd left the bus or came to it.
_RULES = (
    f"type='signal',sender='{_SYSTEMD}',interface='{_PROPERTIES}',path_namespace='{_UNITS_PATH}',arg0='{_SERVICE}'",
    f"type='signal',sender='{_BUS}',member='NameOwnerChanged',arg0='{_SYSTEMD}'",
)
# What the bus says when systemd is not there to answer: it re-executes itself, or has just died.
_ABSENT = {f"{_BUS}.Error.{name}" for name in ("NoReply", "Disconnected", "NameHasNoOwner", "ServiceUnknown")}

# One turn of PID 1 may take seconds on a host with thousands of units (a daemon-reload).
CALL_S = 30.0
# A call is lost if it meets PID 1 while that joins the bus (seen when the bus restarts).
_TRY_S = 5.0
_FIRST_PAUSE_S = 0.05
_LAST_PAUSE_S = 2.0

_log = structlog.get_logger()


class RefusedError(Exception):
    """Systemd does not do what it was asked; `name` is the D-Bus error's."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class NoAnswerError(Exception):
    """Systemd did not answer in time; whether it did what it was asked is not known."""


class Systemd:
    """A connection to PID 1. `on_service` hears of services by unit path, `on_return` when changes were missed."""

    def __init__(self, on_service: Callable[[str, Mapping[str, Any]], None], on_return: Callable[[], None]) -> None:
        self._on_service = on_service
        self._on_return = on_return
        self._bus: MessageBus | None = None
        self._up = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self.returns = 0  # how often changes may have been missed
        self._renewal: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Connect for the first time, and stay so from then on; NoAnswerError if that does not work."""
        try:
            async with asyncio.timeout(CALL_S):
                bus = await self._open()
                await self._subscribe()
        except (TimeoutError, OSError, RefusedError) as error:
            raise NoAnswerError(f"systemd does not answer on the system bus: {error or 'no answer'}") from error
        self._keeper = asyncio.create_task(self._keep(bus))

    async def call(self, member: str, signature: str = "", *body: Any) -> list[Any]:
        """Call a method of systemd's manager.

        It is called again if systemd was not there for it, so each call must be one that may be repeated.

        Raises:
            RefusedError: systemd's own refusal.
            NoAnswerError: no answer within CALL_S.
        """
        return await self._ask(_to_manager(member, signature, body))

    async def unit(self, path: str) -> dict[str, Any]:
        """Read all properties of a unit, those of its kind too; LoadState is `not-found` where there is none."""
        call = _to_manager("GetAll", "s", ("",)) | {"path": path, "interface": _PROPERTIES}
        (properties,) = await self._ask(call)
        return _plain(properties)

    async def start_unit(self, unit: str, properties: Sequence[tuple[str, Variant]]) -> None:
        """Start a transient unit; one that is there already is left as it is. Raises as `call` does."""
        try:
            await self.call(
                "StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "replace", [list(each) for each in properties], []
            )
        except RefusedError as error:
            # A role's slice that another rank made, or an answer that was lost when systemd re-executed itself.
            if not error.name.endswith(".UnitExists"):
                raise

    async def close(self) -> None:
        """Hang up."""
        tasks = [task for task in (self._keeper, self._renewal) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._bus is not None:
            self._bus.disconnect()

    async def _ask(self, call: Mapping[str, Any]) -> list[Any]:
        pause_s = _FIRST_PAUSE_S
        try:
            async with asyncio.timeout(CALL_S):
                while True:
                    await self._up.wait()
                    if self._bus is not None and (reply := await _exchange(self._bus, call)) is not None:
                        return reply
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _LAST_PAUSE_S)
        except TimeoutError:
            raise NoAnswerError(f"systemd did not answer {call['member']} within {CALL_S:.0f} s") from None

    async def _open(self) -> MessageBus:
        bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        bus.add_message_handler(self._hear)
        for rule in _RULES:
            call = {"destination": _BUS, "path": _BUS_PATH, "interface": _BUS, "member": "AddMatch"}
            await _exchange(bus, {**call, "signature": "s", "body": [rule]})
        self._bus = bus
        self._up.set()
        return bus

    async def _subscribe(self) -> None:
        """Ask systemd, which forgets it when it leaves the bus, to tell of changes."""
        try:
            await self._ask(_to_manager("Subscribe"))
        except RefusedError as error:
            if not error.name.endswith(".AlreadySubscribed"):
                raise

    async def _keep(self, bus: MessageBus) -> None:
        while True:
            try:
                await bus.wait_for_disconnect()  # type: ignore[no-untyped-call] # dbus-fast has no type for it
                reason = "closed"
            except (OSError, EOFError) as error:
                reason = str(error) or type(error).__name__
            self._up.clear()
            self._bus = None
            _log.warning("the connection to the system bus is lost; making another", reason=reason)
            bus = await self._open_again()
            self._renew()

    async def _open_again(self) -> MessageBus:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                async with asyncio.timeout(CALL_S):
                    return await self._open()
            except (TimeoutError, OSError, RefusedError):
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LAST_PAUSE_S)

    def _hear(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.member == "PropertiesChanged" and message.path is not None:
            self._on_service(message.path, _plain(message.body[1]))
        elif message.member == "NameOwnerChanged" and message.body[2]:
            self._renew()

    def _renew(self) -> None:
        """Begin anew with a systemd, or a bus, that has just come (back)."""
        if self._renewal is not None:
            self._renewal.cancel()
        self._renewal = asyncio.create_task(self._make_up())

    async def _make_up(self) -> None:
        """Ask to be told of changes, and make up for those missed."""
        while True:
            try:
                await self._subscribe()
                break
            except (NoAnswerError, RefusedError) as error:
                _log.error("systemd does not tell how ranks go; trying again", error=str(error))
                await asyncio.sleep(_LAST_PAUSE_S)
        self.returns += 1
        self._on_return()


def unit_path(unit: str) -> str:
    """Give the D-Bus path of a unit: every byte that is no letter or digit is `_` and its two hexadecimal digits."""
    escaped = "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 and not (at == 0 and chr(byte).isdigit()) else f"_{byte:02x}"
        for at, byte in enumerate(unit.encode())
    )
    return f"{_UNITS_PATH}/{escaped}"


def _to_manager(member: str, signature: str = "", body: tuple[Any, ...] = ()) -> dict[str, Any]:
    """Put together a call of systemd's manager."""
    return {
        "destination": _SYSTEMD,
        "path": _MANAGER_PATH,
        "interface": f"{_SYSTEMD}.Manager",
        "member": member,
        "signature": signature,
        "body": list(body),
    }


async def _exchange(bus: MessageBus, call: Mapping[str, Any]) -> list[Any] | None:
    """Call and wait for the answer; None if there is none: the connection broke, or nobody is there."""
    try:
        async with asyncio.timeout(_TRY_S):
            reply: Message | None = await bus.call(Message(**call))
    except (OSError, EOFError, TimeoutError):
        return None
    if reply is None:
        return None
    if reply.message_type is MessageType.ERROR:
        name = reply.error_name or ""
        if name in _ABSENT:
            return None
        raise RefusedError(name, str(reply.body[0]) if reply.body else name)
    return reply.body


def _plain(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: variant.value for name, variant in properties.items()}
