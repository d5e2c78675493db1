"""Running the file or module a plugin is written in.

- Only what the user named is run: the folder of a file is not searched, `sys.path` stays as it is, and so a `polars.py`
  beside a plugin is never imported in place of the library. A plugin imports what is installed, no file beside it.
- A file is run from its text, under a module name of its own, once per registry: two files of one name live side by
  side, and no compiled copy can be older than the text.
- Whatever the code raises is told with its own file and line; only Ctrl-C passes.
"""

import importlib
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from backtestkit_cli.errors import BacktestkitError, ConfigError, Problem, Source, StrategyError
from backtestkit_cli.plugins.drafted.trust import is_drafted
from backtestkit_cli.plugins.places import raised
from backtestkit_cli.plugins.registry import Registry, received_by
from backtestkit_cli.plugins.words import described


def load_file(path: Path, registry: Registry) -> ModuleType:
    """Run a Python file, or give the module it became when it was run for this registry.

    Raises:
        ConfigError: there is no such file, it cannot be read, or a language model wrote it.
        StrategyError: it raised, or is no Python.
    """
    path = _checked(path)
    if path in registry.files:
        return registry.files[path]
    code = _text(path)
    if is_drafted(code):
        what, hint = "a language model wrote this file", "it can only be `use` of a strategy, where it runs with limits"
        raise ConfigError(Problem("not-trusted", what, where=Source(file=str(path)), hint=hint))
    module = ModuleType(_module_name(path))
    module.__file__ = str(path)
    module.__package__ = ""
    sys.modules[module.__name__] = module
    try:
        with received_by(registry):
            _guarded(lambda: exec(compile(code, str(path), "exec", dont_inherit=True), module.__dict__), path)  # noqa: S102
    except BaseException:
        del sys.modules[module.__name__]
        raise
    registry.files[path] = module
    return module


def load_module(name: str, text: str) -> ModuleType:
    """Import an installed module; `text` is the reference that asks for it.

    Raises:
        ConfigError: there is no such module.
        StrategyError: it raised.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            problem = Problem(
                "plugin-not-found",
                f"there is no installed module {error.name}",
                found=text,
                hint="install the package, or name a file of the project as path.py:name",
            )
            raise ConfigError(problem) from error
        raise StrategyError(_trouble(error, _failing_file(error, name))) from error
    except (KeyboardInterrupt, BacktestkitError):
        raise
    except BaseException as error:
        raise StrategyError(_trouble(error, _failing_file(error, name))) from error


def _checked(path: Path) -> Path:
    try:
        found = path.resolve()
        if found.is_file():
            return found
        what = "is no file" if found.exists() else "does not exist"
    except (OSError, ValueError, RuntimeError) as error:
        what = f"cannot be looked up: {described(error)}"
    problem = Problem("plugin-not-found", f"the plugin file {path} {what}", where=Source(file=str(path)))
    raise ConfigError(problem)


def _text(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        what = f"the plugin file {path} cannot be read: {error.strerror}"
        raise ConfigError(Problem("plugin-not-found", what, where=Source(file=str(path)))) from error


def _module_name(path: Path) -> str:
    base = f"backtestkit_plugin_{path.stem}_{sha256(str(path).encode(errors='surrogateescape')).hexdigest()[:12]}"
    name, count = base, 1
    while name in sys.modules:
        count += 1
        name = f"{base}_{count}"
    return name


def _guarded(run: Callable[[], None], path: Path) -> None:
    try:
        run()
    except (KeyboardInterrupt, BacktestkitError):
        raise
    except BaseException as error:
        raise StrategyError(_trouble(error, Source(file=str(path)))) from error


def _trouble(error: BaseException, place: Source) -> Problem:
    problem = raised(error, place, "while it was loaded")
    beside = _sibling(error, place)
    if beside is None:
        return problem
    hint = f"{beside} lies beside the plugin, but a plugin cannot import it: install it as a package, or use one file"
    return Problem(problem.code, problem.what, where=problem.where, hint=hint)


def _sibling(error: BaseException, place: Source) -> str | None:
    if not isinstance(error, ImportError) or place.file is None:
        return None
    beside = Path(place.file).with_name(f"{(error.name or '').partition('.')[0] or '.'}.py")
    return beside.name if beside.is_file() else None


def _failing_file(error: BaseException, name: str) -> Source:
    """The last file of the plugin's own package that had a part in an error."""
    top = name.partition(".")[0]
    if isinstance(error, SyntaxError) and error.filename is not None:
        return Source(file=error.filename, line=error.lineno)
    place, trace = Source(key=name), error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0] == top:
            place = Source(file=trace.tb_frame.f_code.co_filename, line=trace.tb_lineno)
        trace = trace.tb_next
    return place
