"""At home in FastAPI and Starlette: one client for the application, streams, errors, limits by user.

```python
from fastapi import FastAPI
import fairlead.fastapi as llm

app = FastAPI(lifespan=llm.lifespan())
llm.add_exception_handlers(app)


@app.post("/stream", responses=llm.ERRORS)
async def stream(question: str, client: llm.LLM):
    messages = [{"role": "user", "content": question}]
    return llm.sse(client.chat.completions.create(model="smart", messages=messages, stream=True))
```

Needs `fastapi`, which `import fairlead` never imports.
"""

from .chat import ChatReply, ChatRequest, chat_router
from .disconnect import cancel_on_disconnect, cancellation
from .errors import (
    ERRORS,
    ErrorAnswer,
    ErrorBody,
    ErrorDetail,
    add_exception_handlers,
    answer_for,
    exception_handler,
)
from .events import EventStreamResponse, sse
from .health import health_router
from .lifespan import LLM, WarmUp, client, lifespan
from .scopes import ScopeMiddleware, scoped

__all__ = [
    "ERRORS",
    "LLM",
    "ChatReply",
    "ChatRequest",
    "ErrorAnswer",
    "ErrorBody",
    "ErrorDetail",
    "EventStreamResponse",
    "ScopeMiddleware",
    "WarmUp",
    "add_exception_handlers",
    "answer_for",
    "cancel_on_disconnect",
    "cancellation",
    "chat_router",
    "client",
    "exception_handler",
    "health_router",
    "lifespan",
    "scoped",
    "sse",
]
