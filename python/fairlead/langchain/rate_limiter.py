"""Our limits as LangChain's rate limiters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.rate_limiters import BaseRateLimiter

from ..primitives.token_bucket import TokenBucket

if TYPE_CHECKING:
    from ..primitives.rate_limit import KeyedRateLimit, RateLimit


class FairleadRateLimiter(BaseRateLimiter):
    """A limit of `fairlead` before every call of a LangChain model, ours or another's.

    ```python
    limiter = FairleadRateLimiter(fairlead.RateLimit(300, per=60))
    model = ChatOpenAI(model="gpt-5", rate_limiter=limiter)
    ```

    Unlike `InMemoryRateLimiter` it lets calls through in the order they came, wakes them when there is room
    instead of looking now and then, and holds a limit over any window. One object serves all threads and
    event loops. A `ChatFairlead` needs none: limits of its configuration know tokens, users and deployments.

    Args:
        limit: a `RateLimit`, one of its keys (`limit.of("key")`), or a `TokenBucket`.
        timeout: the longest wait in seconds; a wait that is known to be longer is not begun. `None` is no
            limit.
    """

    def __init__(
        self, limit: RateLimit | KeyedRateLimit | TokenBucket, *, timeout: float | None = None
    ) -> None:
        self.limit = limit
        """The limit."""
        self.timeout = timeout
        """The longest wait in seconds."""

    def acquire(self, *, blocking: bool = True) -> bool:
        """Count one call.

        Args:
            blocking: wait for room; else answer at once.

        Returns:
            Was it counted?

        Raises:
            QueueTimeout: no room in time; `retry_after` says when there may be.
        """
        if not blocking:
            return self._now()
        self.limit.acquire_sync(1, self.timeout)
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        """As `acquire`, awaited; being cancelled gives back what was taken."""
        if not blocking:
            return self._now()
        await self.limit.acquire(1, self.timeout)
        return True

    def _now(self) -> bool:
        limit = self.limit
        return limit.consume(1) if isinstance(limit, TokenBucket) else limit.try_acquire(1)

    def __repr__(self) -> str:
        return f"FairleadRateLimiter({self.limit!r})"
