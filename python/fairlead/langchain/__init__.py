"""LangChain on the engine: a chat model, embeddings and a rate limiter. Needs `fairlead[langchain]`."""

try:
    import langchain_core  # noqa: F401
except ImportError as missing:
    raise ImportError("fairlead.langchain needs LangChain: pip install 'fairlead[langchain]'") from missing

from ._errors import is_retryable
from .chat_models import ChatFairlead
from .embeddings import FairleadEmbeddings
from .rate_limiter import FairleadRateLimiter

__all__ = ["ChatFairlead", "FairleadEmbeddings", "FairleadRateLimiter", "is_retryable"]
