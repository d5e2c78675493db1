"""Our own plugins, as references: they use the same door as everybody's and load as late.

A text is no import: nothing named here is loaded before somebody asks for it.
"""

from collections.abc import Mapping

from backtestkit_cli.plugins.ports import PluginKind

BUILT_IN: Mapping[PluginKind, Mapping[str, str]] = {
    "exchange": {
        "sample": "backtestkit_cli.data.sample:SampleExchange",
        "files": "backtestkit_cli.data.files:FilesExchange",
        "ccxt": "backtestkit_cli.data.exchange:CcxtExchange",
    },
    "provider": {
        "ollama": "backtestkit_cli.data.providers.ollama:Ollama",
        "openai": "backtestkit_cli.data.providers.openai:OpenAi",
        "replay": "backtestkit_cli.data.providers.replay:Replay",
    },
}
