"""Many calls at once: `client.batch`.

```text
requests ─► read      one at a time, only as many as are asked at once        requests
         ─► journal   answered in an earlier run? then it is not asked again  journal
         ─► ask       side by side, as many as are answered well              run, pace
         ─► record    journal, progress, the caller                           record, progress, results
```
"""

from .results import BatchSummary, Result, Results

__all__ = ["BatchSummary", "Result", "Results"]
