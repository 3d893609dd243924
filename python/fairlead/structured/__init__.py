"""Structured output: answers that are objects of a class or of a JSON schema.

    target    what is asked for: a class or a schema, and how an answer is validated       sound, check
    way       how a model is asked for it: its own `json_schema`, a forced tool call, a prompt
    course    one call: which way, the next one where it is refused, bounded repairs
    schema    JSON schemas as strict mode wants them
    partial   JSON that is still growing, and objects of it                                 growing
    calls     `generate_structured`, `structured` and `stream_structured` of the clients    stream
    parsing   `chat.completions.parse` and what its stream helper parses

Nothing here needs another package; classes other than plain JSON schemas need pydantic.
"""
