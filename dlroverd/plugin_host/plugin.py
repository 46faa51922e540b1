"""One enabled plugin: in a process of its own that is kept up, or, for the few that are trusted, inside.

Owns when a plugin's process is started, given up and tried again, and what is told of it. Knows nothing of
what the calls mean.
"""

import asyncio
from dataclasses import dataclass, field

from dlroverd.model.view import PluginView
from dlroverd.plugin_host import wire
from dlroverd.plugin_host.breaker import Breaker, BreakerLimits
from dlroverd.plugin_host.failures import PluginAwayError, PluginError, PluginTimeoutError
from dlroverd.plugin_host.process import Child


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginConfig:
    """An enabled plugin. `name` is how it is called here, `plugin` its entry point ("" when that is the name)."""

    name: str
    plugin: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def entry(self) -> str:
        """The name of the entry point."""
        return self.plugin or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLimits:
    """What a plugin may take.

    load_s        for its process to start, import it and open its sink
    close_s       for its sink to close before it is killed
    memory_bytes  of address space (RLIMIT_AS): beyond it the plugin gets MemoryError
    """

    load_s: float = 30.0
    close_s: float = 5.0
    memory_bytes: int = 2 * 1024**3
    breaker: BreakerLimits = field(default_factory=BreakerLimits)


class IsolatedPlugin:
    """Keeps one plugin process up, and puts calls to it one at a time."""

    def __init__(self, config: PluginConfig, limits: HostLimits) -> None:
        """Nothing runs before `start`."""
        self._config = config
        self._limits = limits
        self._breaker = Breaker(limits.breaker)
        self._child: Child | None = None
        self._turn = asyncio.Lock()
        # Set while it is known whether calls can be put: the process is up, or the breaker holds it off.
        self._settled = asyncio.Event()
        self._found = wire.Found(version="", origin="")
        self._kinds: tuple[str, ...] = ()
        self._failures = 0
        self._last_error = ""

    def start(self) -> None:
        """Bring it up, and up again whenever it ends."""
        self._task = asyncio.create_task(self._supervise(), name=f"plugin {self._config.name}")

    async def settled(self) -> None:
        """Wait until it is up, or held off."""
        await self._settled.wait()

    def view(self) -> PluginView:
        """Say how it is."""
        if self._child is not None:
            health = "ok"
        elif self._failures and not self._kinds:
            health = "failed"
        else:
            health = "open" if self._held_off_s() else "starting"
        return PluginView(
            name=self._config.name,
            version=self._found.version,
            kinds=self._kinds,
            origin=self._found.origin,
            health=health,
            last_error=self._last_error,
            failures=self._failures,
        )

    async def call(self, question: wire.Question, timeout_s: float) -> wire.Value | wire.Refused:
        """Put one question. PluginTimeoutError when the answer is late: the process is then killed.

        PluginAwayError when it was not put; PluginDiedError when the process ended meanwhile; PluginError when the
        plugin raises or answers nonsense.
        """
        asked: Child | None = None
        try:
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
                async with self._turn:
                    asked = self._up()
                    answer = await asked.ask(question)
        except TimeoutError:
            if asked is None:
                raise PluginAwayError(self._named(f"it was not ready within {timeout_s:g} s")) from None
            late = f"{question.op}() did not answer within {timeout_s:g} s"
            self._condemn(asked, late)
            raise PluginTimeoutError(self._named(late)) from None
        except PluginError as error:
            if asked is not None:
                self._condemn(asked, str(error))
            raise type(error)(self._named(str(error))) from error
        if isinstance(answer, wire.Raised):
            self._raised(asked, answer.error)
            raise PluginError(self._named(answer.error))
        self._breaker.succeeded(_now())
        return answer if isinstance(answer, wire.Refused) else answer.value

    async def close(self) -> None:
        """Close the sink, if there is one, and end the process."""
        if self._child is not None:
            self._child.condemned = True
            try:
                await self.call(wire.Close(), self._limits.close_s)
            except PluginError as error:
                self._last_error = str(error)
        self._task.cancel()
        await asyncio.wait([self._task], timeout=self._limits.close_s)

    async def _supervise(self) -> None:
        while True:
            held_off_s = self._held_off_s()
            if held_off_s:
                self._settled.set()
                await asyncio.sleep(held_off_s)
            else:
                self._settled.clear()
                await self._live()

    async def _live(self) -> None:
        """One life of the process, from its start until it is gone."""
        try:
            child = Child.start(self._config.entry, self._limits.memory_bytes)
        except PluginError as error:
            self._count(str(error))
            return
        try:
            async with asyncio.timeout(self._limits.load_s):
                await self._load(child)
            self._child = child
            self._settled.set()
            self._condemn(child, await child.wait())
        except TimeoutError:
            self._condemn(child, f"it did not load within {self._limits.load_s:g} s")
        except PluginError as error:
            self._condemn(child, str(error))
        finally:
            self._child = None
            await child.end()

    async def _load(self, child: Child) -> None:
        await child.connect()
        while True:
            answer = await child.receive()
            if isinstance(answer, wire.Found):
                self._found = answer
            elif isinstance(answer, wire.Loaded):
                break
            else:
                raise PluginError(answer.error if isinstance(answer, wire.Raised) else "it answered unasked")
        if "sink" in answer.kinds:
            opened = await child.ask(wire.Open(settings=self._config.settings))
            if isinstance(opened, wire.Raised):
                raise PluginError(opened.error)
        elif self._config.settings:
            raise PluginError(f"it takes no settings; remove {', '.join(self._config.settings)}")
        self._kinds = answer.kinds

    def _up(self) -> Child:
        if self._child is None:
            state = f"held off for {held_off_s:.0f} s" if (held_off_s := self._held_off_s()) else "being restarted"
            raise PluginAwayError(f"it is {state}: {self._last_error}")
        return self._child

    def _condemn(self, child: Child, sentence: str) -> None:
        """End a process for a failure. The first thing said of it is the failure; what follows from it is not."""
        if not child.condemned:
            child.condemned = True
            self._count(sentence)
        child.kill()
        if self._child is child:
            self._child = None
            self._settled.clear()

    def _raised(self, child: Child, sentence: str) -> None:
        """Count an exception: the process lives on, unless that was one too many."""
        self._count(sentence)
        if self._held_off_s():
            child.condemned = True
            self._condemn(child, sentence)

    def _count(self, sentence: str) -> None:
        self._failures += 1
        self._last_error = sentence
        self._breaker.failed(_now())

    def _held_off_s(self) -> float:
        return self._breaker.held_off_s(_now())

    def _named(self, sentence: str) -> str:
        return f"plugin {self._config.name}: {sentence}"


def _now() -> float:
    return asyncio.get_running_loop().time()
