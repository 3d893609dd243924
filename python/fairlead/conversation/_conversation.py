"""`Conversation`: the messages of a dialogue, as many of them as the window holds."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from .. import _core
from ..errors import ContextLengthExceeded, FairleadError, _make
from ._cut import cut, cut_message
from ._estimate import AROUND, Count, Line, counted_as
from ._limits import checked
from ._messages import ROLES as _ROLES
from ._messages import (
    Block,
    Message,
    answers_of,
    calls_of,
    has_media,
    is_single,
    message_of,
    plain,
    tools_of,
)
from ._stored import as_dict, fill
from ._summary import Summarise, Summariser, shown
from ._window import Overflow, kept, sendable, size

if TYPE_CHECKING:
    from ..client import AsyncClient, Client
    from ..tools.tool import Tool


class Conversation:
    """The messages of a dialogue, as many of them as fit the model's window beside the answer.

    ```python
    conversation = fairlead.Conversation(system="Be brief.", model="gpt-5", client=client)
    conversation.add_user("Hello!")
    reply = client.chat.completions.create(model="gpt-5", messages=conversation.messages)
    conversation.add(reply)
    ```

    What the system says stays, and so does what the user said last. Of the rest the oldest goes first, and an
    assistant's tool calls go or stay with all their results. Calls that have no result yet are held, but
    are not among `messages`: providers refuse one without the other. Sizes are estimates by the model's
    family, put right by the usage that added replies tell.

    Not for several threads at once. Forks are independent.
    """

    def __init__(
        self,
        messages: Iterable[Any] | str = (),
        *,
        system: str | None = None,
        model: str | None = None,
        max_tokens: int | None = None,
        reserve: int | None = None,
        client: Client | AsyncClient | None = None,
        summarise: Summarise | None = None,
        tools: Iterable[Any] | Tool[..., Any] | None = None,
        keep: float = 0.75,
        too_long: Literal["raise", "cut"] = "raise",
        count: Count | None = None,
    ) -> None:
        """
        Args:
            messages: to begin with, as of `add`; a single one may stand by itself.
            system: what the system says first.
            model: whose window and tokenizer are meant; may be left out with `max_tokens`.
            max_tokens: the window, prompt and answer together. Default: the smallest that is known of those
                who serve `model`, by the client's configuration and the catalogue.
            reserve: tokens of it that are left to the answer. Default: a quarter of the window, 4,096 at
                most.
            client: tells the window of `model`, and is asked for summaries.
            summarise: what becomes of messages that no longer fit: a function from them to a text,
                asynchronous or not; the name of a model to ask through `client`; True for `model` itself.
                An eighth of the prompt's room is set aside for the summary. It is made by `fit` or `afit`.
                Default: they are forgotten.
            tools: those that go with every request, for they take room as well: dicts, and what
                `fairlead.tool` makes; a single one may stand by itself.
            keep: the share of the room that stays filled when something has to go, above 0 to 1. Less lets
                more go at once and less often, so that a provider's prompt cache finds the same beginning
                again.
            too_long: what becomes of a message of a user or tool that does not fit even alone: `raise`, or
                `cut` its middle out.
            count: tokens of a message, instead of the estimate; from a tokenizer, for example.

        Raises:
            ConfigError: when an argument makes no sense, or no window is known.
            ContextLengthExceeded: as `add`.
        """
        if not 0 < keep <= 1:
            raise ValueError(f"`keep`: expected a share above 0, up to 1, not {keep!r}")
        if too_long not in ("raise", "cut"):
            raise ValueError(f"`too_long`: expected 'raise' or 'cut', not {too_long!r}")
        self.model = model
        """Whose window and tokenizer are meant."""
        self.max_tokens, self.reserve = checked(model, max_tokens, reserve, client)
        self.dropped = 0
        """Messages that went because they no longer fitted."""
        self.summary: str | None = None
        """What stands for those that were summed up."""
        self.tools: list[dict[str, Any]] | None = None if tools is None else tools_of(tools)
        """Those that go with every request, as they are sent."""
        self._count: Count = count or counted_as(model)
        self._tools = _core._estimate_tools(model or "", self.tools) if self.tools else 0.0
        self._summariser = Summariser(summarise, model, client) if summarise else None
        self._keep, self._too_long = keep, too_long
        self._line = Line()
        self._handed: float | None = None
        self._blocks: list[Block] = []
        self._gone: list[Block] = []
        if system is not None:
            self.add_system(system)
        self.add(*([messages] if is_single(messages) else messages))

    # ===== adding =====

    def add(self, *messages: Any) -> Self:
        """Add messages: dicts, messages and whole replies of ours or of an SDK; a str is what the user says.

        The result of a tool call joins its call, wherever that stands. A reply is also learned from
        (`observe`).

        Raises:
            ConfigError: when a message has no JSON form.
            ContextLengthExceeded: when a message cannot fit, even after all that may go has gone; nothing
                of it is kept. Never for what an assistant says: that is told when `messages` are asked for.
            TypeError: when something is no message.
            ValueError: when a role is none, a reply is empty, or a result belongs to no call that is held.
        """
        for given in messages:
            message = message_of(given)
            added = plain(message)
            if message is not given:
                self.observe(given)
            self._add(added)
        return self

    def add_system(self, content: str) -> Self:
        """Add what the system says; it always stays."""
        return self.add({"role": "system", "content": content})

    def add_user(self, content: str | list[dict[str, Any]]) -> Self:
        """Add what the user says: a text, or parts with pictures, sounds and files."""
        return self.add({"role": "user", "content": content})

    def add_assistant(self, content: str) -> Self:
        """Add what the assistant says, where there is no reply to add."""
        return self.add({"role": "assistant", "content": content})

    def add_tool(self, tool_call_id: str, content: str | list[dict[str, Any]]) -> Self:
        """Add the result of a tool call."""
        return self.add({"role": "tool", "tool_call_id": tool_call_id, "content": content})

    def observe(self, reply: Any) -> Self:
        """Learn from a reply how many tokens the messages came to that were handed out last.

        Replies without usage, and prompts with pictures, sounds or files, teach nothing.
        """
        counted = _prompt_tokens(reply)
        sent = self._handed if self._handed is not None else self._estimated()
        if counted is not None and not any(
            has_media(one) for block in self._blocks for one in block.messages
        ):
            self._line.learn(sent, counted)
        return self

    # ===== reading =====

    @property
    def messages(self) -> list[Message]:
        """What is to be sent: fits the window beside the reserve. The list and its messages are yours.

        Raises:
            ContextLengthExceeded: when what must stay does not fit.
        """
        self._settle()
        self._handed = self._estimated()
        return copy.deepcopy(self._sent())

    @property
    def tokens(self) -> int:
        """What `messages` come to with the tools, estimated and put right by what replies told."""
        return max(0, math.ceil(self._line.tokens(self._estimated())))

    @property
    def room(self) -> int:
        """Tokens that are free before something has to go; below 0 where what must stay does not fit."""
        return self.max_tokens - self.reserve - self.tokens

    @property
    def open_calls(self) -> list[str]:
        """The ids of tool calls whose results are not there yet, the oldest first."""
        return [one for block in self._blocks for one in block.open.elements()]

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    def __len__(self) -> int:
        return len(self._sent())

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return (
            f"<fairlead.Conversation of {len(self)} messages, "
            f"{self.tokens} of {self.max_tokens - self.reserve} tokens>"
        )

    # ===== fitting =====

    def fit(self) -> list[Message]:
        """`messages`, after what went was summed up, if `summarise` was given.

        A summary that fails changes nothing: what went waits for the next try, and `messages` still fit.

        Raises:
            ContextLengthExceeded: as `messages`.
            FairleadError: what the model's call raised.
            TypeError: when `summarise` is asynchronous, or returns no str.
            ValueError: when the summary is empty.
        """
        self._settle()
        if self._summariser is not None and self._gone:
            gone = list(self._gone)
            self._sum_up(self._summariser.ask(self.summary, _flat(gone), self._allotted()), gone)
        return self.messages

    async def afit(self) -> list[Message]:
        """As `fit`, awaited."""
        self._settle()
        if self._summariser is not None and self._gone:
            gone = list(self._gone)
            text = await self._summariser.ask_async(self.summary, _flat(gone), self._allotted())
            self._sum_up(text, gone)
        return self.messages

    # ===== copies =====

    def copy(self) -> Conversation:
        """An independent conversation that goes on from here."""
        fork = type(self).__new__(type(self))
        vars(fork).update(vars(self))
        fork._line = copy.copy(self._line)
        fork._blocks = [block.copy() for block in self._blocks]
        fork._gone = [block.copy() for block in self._gone]
        return fork

    fork = __copy__ = copy

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON types, without what is code: `client`, `summarise` and `count`."""
        return as_dict(self)

    @classmethod
    def from_dict(
        cls,
        stored: Mapping[str, Any],
        *,
        client: Client | AsyncClient | None = None,
        summarise: Summarise | None = None,
        count: Count | None = None,
    ) -> Self:
        """What `to_dict` gave.

        Raises:
            ValueError: when it is nothing of that kind.
        """
        return fill(cls, stored, client, summarise, count)

    # ===== inside =====

    def _add(self, message: Message) -> None:
        answers = answers_of(message)
        block = self._block_for(answers) if answers else None
        try:
            self._put(message, block, answers)
        except Overflow as overflow:
            shorter = self._shortened(message, overflow)
            if shorter is None:
                raise self._error(overflow) from None
            self._put(shorter, block, answers)

    def _put(self, message: Message, block: Block | None, answers: list[str]) -> None:
        """Takes a message in and lets the oldest go; as before where it cannot fit."""
        before, tokens = list(self._blocks), self._count(message)
        if block is None:
            calls = Counter(calls_of(message))
            self._blocks.append(Block(_ROLES[message["role"]], [message], tokens, calls))
        else:
            left = block.open - Counter(answers)
            grown = Block(block.kind, [*block.messages, message], block.tokens + tokens, left)
            self._blocks[self._blocks.index(block)] = grown
        try:
            self._settle_blocks()
        except Overflow:
            if message["role"] == "assistant":
                return
            self._blocks = before
            raise

    def _block_for(self, answers: list[str]) -> Block:
        for block in reversed(self._blocks):
            if block.open and Counter(answers) <= block.open:
                return block
        asked = ", ".join(answers)
        raise ValueError(f"a result for {asked}, but no such call is held without one")

    def _settle(self) -> None:
        try:
            self._settle_blocks()
        except Overflow as overflow:
            raise self._error(overflow) from None

    def _settle_blocks(self) -> None:
        """Lets go of what does not fit."""
        room = self._room()
        stay = kept(self._blocks, room, room * self._keep)
        if len(stay) < len(self._blocks):
            staying = {id(block) for block in stay}
            gone = [block for block in self._blocks if id(block) not in staying]
            self.dropped += sum(len(block.messages) for block in gone)
            if self._summariser is not None:
                self._gone += sendable(gone)
            self._blocks = stay

    def _shortened(self, message: Message, overflow: Overflow) -> Message | None:
        if self._too_long != "cut" or _ROLES[message["role"]] == "system":
            return None
        most = self._count(message) - (overflow.needed - self._room())
        return cut_message(message, lambda shorter: self._count(shorter) <= most)

    def _budget(self) -> float:
        """Estimated tokens that all messages may come to."""
        return self._line.estimate(self.max_tokens - self.reserve) - AROUND - self._tools

    def _allotted(self) -> int:
        """Estimated tokens that are set aside for a summary."""
        return 0 if self._summariser is None else max(0, int(self._budget() / 8))

    def _room(self) -> float:
        """Estimated tokens for all messages but the summary."""
        held = self._count(shown(self.summary)) if self.summary else 0.0
        return self._budget() - max(held, self._allotted())

    def _estimated(self) -> float:
        summary = self._count(shown(self.summary)) if self.summary else 0.0
        return AROUND + self._tools + summary + size(sendable(self._blocks))

    def _sent(self) -> list[Message]:
        blocks = sendable(self._blocks)
        if not self.summary:
            return _flat(blocks)
        opening = next((place for place, one in enumerate(blocks) if one.kind != "system"), len(blocks))
        return [*_flat(blocks[:opening]), shown(self.summary), *_flat(blocks[opening:])]

    def _sum_up(self, text: str, gone: list[Block]) -> None:
        """Takes a summary for what is gone, unless something else came first."""
        if [id(block) for block in self._gone[: len(gone)]] != [id(block) for block in gone]:
            return
        most = self._allotted()
        self.summary = cut(text, lambda shorter: self._count(shown(shorter)) <= most) or self.summary
        del self._gone[: len(gone)]

    def _error(self, overflow: Overflow) -> FairleadError:
        needed = math.ceil(self._line.tokens(overflow.needed + AROUND + self._tools))
        error = _make(
            ContextLengthExceeded,
            f"what must stay of the conversation comes to about {needed} tokens, "
            f"and {self.max_tokens - self.reserve} of the window's {self.max_tokens} are for the prompt",
        )
        error.model = self.model
        return error


def _flat(blocks: Iterable[Block]) -> list[Message]:
    return [message for block in blocks for message in block.messages]


def _prompt_tokens(reply: Any) -> float | None:
    """The tokens of the prompt as the provider counted them."""
    usage = reply.get("usage") if isinstance(reply, dict) else getattr(reply, "usage", None)
    counted = usage.get("prompt_tokens") if isinstance(usage, dict) else getattr(usage, "prompt_tokens", None)
    return counted if isinstance(counted, int | float) and not isinstance(counted, bool) else None
