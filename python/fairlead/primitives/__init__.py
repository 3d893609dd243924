"""Limits, retries, breakers and deadlines for any code, each usable alone.

They are what the engine uses for calls to models: the same counting, waiting, backing off and breaking. Each
object serves sync and async code, in any thread and any event loop, and comes in four forms: as a decorator,
as a context manager, as a call, and as a question that does not wait.
"""
