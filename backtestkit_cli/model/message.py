"""What is said to a language model, and by it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str

    def plain(self) -> dict[str, str]:
        """Give it as JSON has it."""
        return {"role": self.role, "content": self.content}
