"""Tools: typed functions that models may call, and the loop that lets them.

tool        a function as a tool: its schema, its arguments, its result
signature   parameters as a JSON schema, with pydantic or without     plain, docstring
course      the loop, without any waiting: turns, bounds, what the model is told
running     tools at work: side by side, in threads or tasks, with time limits
calls       `run_tools` of the clients
"""
