"""A conversation with a language model as a folder of markdown, one file for each thing that was said.

* `00_system_prompt.md` has what the model was told to be, and what became of its answers; `NN_user_message.md` each
  question; the last, `NN_llm_output.md`, the answer that counts. What a model was made to say is not written.
* A folder that is there is left alone: it says what was said then.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backtestkit_cli.disk import DISK, write_atomic
from backtestkit_cli.model.message import Message

LARGE_BYTES = 20 * 1024
_MODE = 0o644


def dump_conversation(
    name: str, messages: Sequence[Message], output: Mapping[str, Any] | None, folder: str | Path
) -> Path:
    """Write what was said, and the answer that came of it (None: nothing usable), to `folder/name`; give that folder.

    Raises:
        OSError: the disk refused.
    """
    path = Path(folder) / name
    if path.exists():
        return path
    DISK.make_folder(path)
    for file, text in _files(name, messages, output).items():
        write_atomic(path / file, text.encode("utf-8", errors="replace"), mode=_MODE)
    return path


def _files(name: str, messages: Sequence[Message], output: Mapping[str, Any] | None) -> dict[str, str]:
    answer = "nothing usable" if output is None else f"```json\n{json.dumps(output, indent=2, ensure_ascii=False)}\n```"
    systems = [message.content for message in messages if message.role == "system"]
    told = [f"## System message {number}\n\n{text}" for number, text in enumerate(systems, 1)]
    files = {"00_system_prompt.md": "\n\n".join(["# Conversation", f"Result: `{name}`", answer, *told]) + "\n"}
    asked = [message.content for message in messages if message.role == "user"]
    for number, text in enumerate(asked, 1):
        size = len(text.encode(errors="replace"))
        large = [f"> This message has {size / 1024:.1f} KiB; many models forget its beginning."]
        head = [f"# User message {number}", f"Result: `{name}`", *(large if size > LARGE_BYTES else [])]
        files[f"{number:02d}_user_message.md"] = "\n\n".join([*head, text]) + "\n"
    end = "\n\n".join(["# Answer of the model", f"Result: `{name}`", answer])
    return {**files, f"{len(asked) + 1:02d}_llm_output.md": end + "\n"}
