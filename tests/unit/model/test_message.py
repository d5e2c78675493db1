"""A message as a conversation is kept."""

from backtestkit_cli.model.message import Message


def test_a_message_is_plain_under_the_names_that_models_know() -> None:
    assert Message(role="user", content="hello").plain() == {"role": "user", "content": "hello"}
