"""Looks at set times what really runs on this host, and what the file of what it follows says, for the core to compare.

What an agent knows of its ranks it knows from what it was told: by systemd, by shims, by its own records. A word that
was lost, and what a person does by hand, is found only by looking. A look that does not end is a finding of its own.
"""

import asyncio
import time
from collections.abc import Callable

from dlroverd_agent.core import Surveyed, SurveyFailed
from dlroverd_agent.launchers.interface import Launcher, SurveyError
from dlroverd_agent.state import FollowedFile

LIMIT_S = 30.0
# Long enough for what was just under way at the look before: a shim that reaps its rank, a signal of systemd's.
AGAIN_S = 2.0


class Surveys:
    """The surveys of one agent, `interval_s` apart, and sooner when the last one is to be repeated."""

    def __init__(
        self,
        launcher: Launcher,
        file: FollowedFile,
        interval_s: float,
        feed: Callable[[Surveyed | SurveyFailed], None],
    ) -> None:
        """Each result is given to `feed`."""
        self._launcher = launcher
        self._file = file
        self._interval_s = interval_s
        self._feed = feed
        self._look: asyncio.Task[Surveyed] | None = None
        self._again = asyncio.Event()

    def again(self) -> None:
        """Look once more, soon."""
        self._again.set()

    async def run(self) -> None:
        """Look again and again, for ever; the first time soon."""
        self._again.set()
        while True:
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._again.wait()
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(min(AGAIN_S, self._interval_s))
            self._again.clear()
            self._feed(await self._result())

    async def _result(self) -> Surveyed | SurveyFailed:
        # One that has not ended stays the one: what hangs is not helped by more of it.
        look = self._look = self._look or asyncio.create_task(self._survey())
        result: Surveyed | SurveyFailed
        try:
            result = await asyncio.wait_for(asyncio.shield(look), LIMIT_S)
        except TimeoutError:
            return SurveyFailed(why=f"what runs on this host was not found out within {LIMIT_S:g} s", at=time.time())
        except SurveyError as error:
            result = SurveyFailed(why=str(error), at=time.time())
        self._look = None
        return result

    async def _survey(self) -> Surveyed:
        difference = await asyncio.to_thread(self._file.difference)
        return Surveyed(alive=await self._launcher.survey(), at=time.time(), file=difference)
