"""Limits, retries, breakers and deadlines for any code, each usable alone.

They are what the engine uses for calls to models: the same counting, waiting, backing off and breaking. Each
object serves sync and async code, in any thread and any event loop, as a decorator and as a call; all but
`Retry`, which is a loop, are context managers too, and limits and breakers answer without waiting.
"""
