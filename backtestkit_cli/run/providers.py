"""Who answers for the language model of an entry of the config."""

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

from backtestkit_cli.config.merge import Config
from backtestkit_cli.errors import BacktestkitError, ConfigError, Problem, StrategyError
from backtestkit_cli.model.message import Message
from backtestkit_cli.plugins.places import place_of, raised
from backtestkit_cli.plugins.ports import Provider
from backtestkit_cli.plugins.reference import resolve
from backtestkit_cli.plugins.registry import Registry
from backtestkit_cli.plugins.words import shown

SHARE_OF_TIME = 0.9
"""Of the time that a call of a strategy has; the rest is ours, to tell what happened."""


def provider_of(
    config: Config, kind: str, name: str, use: str, keys: Mapping[str, str | None], registry: Registry
) -> Provider:
    """Make the provider of `kind` `name`; `keys` are what the entry says of it, secrets are resolved here.

    Raises:
        ConfigError: there is no such provider, it lacks a key, or its library is not installed.
    """
    if use in ("ollama", "openai") and importlib.util.find_spec("ollama") is None:
        what, hint = f"{use} needs its library", "install it with: pip install 'backtestkit-cli[llm]'"
        raise ConfigError(Problem("provider-not-installed", what, config.where(kind, name), hint=hint))
    plugin = resolve(use, "provider", config.project, registry)
    params: dict[str, object] = {key: config.secret(value) for key, value in keys.items() if value is not None}
    if problems := plugin.check(params):
        where = config.where(kind, name)
        raise ConfigError(
            *(
                Problem(problem.code, problem.what, where, expected=problem.expected, hint=problem.hint)
                for problem in problems
            )
        )
    if "seconds" in plugin.parameters.parameters:
        params["seconds"] = config.settings.limits.signal_seconds * SHARE_OF_TIME
    made: Provider = plugin.bind(params)()
    return made


def answered(provider: Provider, messages: Sequence[Message], schema: Mapping[str, Any]) -> str:
    """Ask a provider, which may be code of the user.

    Raises:
        ExchangeError: there is no answer.
        StrategyError: it raised, or its answer is no text.
    """
    place = place_of(type(provider))
    try:
        answer = provider.complete(messages, schema)
    except (KeyboardInterrupt, BacktestkitError):
        raise
    except Exception as error:
        raise StrategyError(raised(error, place, "when it was asked")) from error
    if not isinstance(answer, str):
        raise StrategyError(Problem("bad-answer", f"a provider answered {shown(answer)}, no text", place))
    return answer
