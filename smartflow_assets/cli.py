"""The command `smartflow`: which commands there are, and what becomes of errors.

Errors of ours are one line with source, field and remedy; anything unexpected is one line with its type. `-v` shows the
traceback. Exit codes: 0 done, 1 something failed or problems were found, 2 the command line is wrong, 130 interrupted. What a
command does is in `commands`.
"""

import functools
import inspect
import logging
import os
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from smartflow_assets.commands import (
    backtest,
    backup,
    channels,
    compare,
    contract,
    demo,
    detect,
    doctor,
    export,
    feedback,
    full_disk,
    generate,
    incident_decisions,
    incident_page,
    incidents,
    metrics,
    models,
    plan,
    process,
    prune,
    push,
    quarantine,
    remediate,
    report,
    reset,
    run,
    serve,
    sources,
    sql,
    terminal,
    tune,
    ui,
    validate,
)
from smartflow_assets.core.errors import SmartflowError

app = typer.Typer(
    name="smartflow",
    help="Watch data: detect anomalies, alert once, read everything in DuckDB.\n\n"
    "SMARTFLOW_HOME names the folder that holds data/; without it, the current folder.",
    epilog="First steps:  smartflow demo  ·  smartflow ui  ·  smartflow detect FILE  ·  smartflow COMMAND --help",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more; show the traceback of an error.")]


def _version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        terminal.result(f"smartflow {version('smartflow')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def smartflow(
    context: typer.Context,
    verbose: Verbose = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    terminal.VERBOSE.set(verbose)
    if context.invoked_subcommand is None:
        terminal.result(context.get_help())


class _Command(TyperCommand):
    """A command that says what is meant where a value looks like an option: -2h."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            written = str(getattr(error, "option_name", ""))
            if written[1:2].isdigit():
                error.message = (  # pyright: ignore[reportAttributeAccessIssue]
                    f"{written}… begins with - and was read as an option. A length has no sign (2h); what does begin with - comes after --"
                )
            raise


def _command(name: str, function: Callable[..., None], examples: str, to: typer.Typer | None = None) -> None:
    """Register `function` with the app, or a group of it, with -v and with errors in one line."""
    signature = inspect.signature(function)
    verbose = inspect.Parameter("verbose", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Verbose)

    @functools.wraps(function)
    def command(*arguments: Any, verbose: bool, **options: Any) -> None:
        from smartflow_assets.config.name_prefix import prefix_of  # `--help` comes without the configuration

        terminal.VERBOSE.set(verbose or terminal.is_verbose())
        try:
            prefix_of(os.environ)  # one that Dagster could not take is told at once, not by the first command that needs Dagster
            function(*arguments, **options)
        except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            terminal.error("interrupted")
            raise typer.Exit(130) from None
        except Exception as error:
            if terminal.is_verbose():
                import traceback

                traceback.print_exc()
            terminal.error(_sentence(error))
            raise typer.Exit(2 if isinstance(error, terminal.UsageError) else 1) from error

    command.__signature__ = signature.replace(parameters=[*signature.parameters.values(), verbose])  # pyright: ignore
    command.__annotations__ = {**function.__annotations__, "verbose": Verbose}
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    help_text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    shown = "\n".join(f"  {line}" for line in examples.strip().replace("[", r"\[").splitlines())
    (to or app).command(name, cls=_Command, help=help_text, epilog=f"[bold]Examples[/bold]\n{shown}")(command)


def _group(default: str, of_words: str = "") -> type[TyperGroup]:
    """A group of verbs, one of which is meant where none is named, and `of_words` where something else is; with none, its help is shown."""

    class Verbs(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            is_named = not default or any(each in self.commands or each in ("-h", "--help") for each in args[:1])
            if of_words and args and not is_named:
                return super().parse_args(ctx, [of_words, *args])
            return super().parse_args(ctx, args if is_named or (args and not args[0].startswith("-")) else [default, *args])

    return Verbs


def _sentence(error: Exception) -> str:
    if isinstance(error, SmartflowError):
        return str(error)
    if told := full_disk.told(error):
        return told
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    text = str(error).partition("\n")[0]  # SQLAlchemy adds its statement and a link
    return f"{type(error).__name__}: {text}" + ("" if terminal.is_verbose() else " (run again with -v to see where)")


for name, function, examples in (
    *demo.COMMANDS,
    *run.COMMANDS,
    *ui.COMMANDS,
    *plan.COMMANDS,
    *validate.COMMANDS,
    *sources.COMMANDS,
    *sql.COMMANDS,
    *detect.COMMANDS,
    *compare.COMMANDS,
    *backtest.COMMANDS,
    *tune.COMMANDS,
    *generate.COMMANDS,
    *export.COMMANDS,
    *report.COMMANDS,
    *push.COMMANDS,
    *quarantine.COMMANDS,
    *remediate.COMMANDS,
    *backup.COMMANDS,
    *prune.COMMANDS,
    *reset.COMMANDS,
    *doctor.COMMANDS,
    *metrics.COMMANDS,
):
    _command(name, function, examples)
for group, help_text, commands, default, of_words in (
    ("incidents", incidents.HELP, (*incidents.COMMANDS, *incident_page.COMMANDS, *incident_decisions.COMMANDS), "list", ""),
    ("feedback", feedback.HELP, feedback.COMMANDS, "list", "give"),
    ("channels", channels.HELP, channels.COMMANDS, "", ""),
    ("models", models.HELP, models.COMMANDS, "", ""),
    ("contract", contract.HELP, contract.COMMANDS, "", ""),
    ("serve", serve.HELP, serve.COMMANDS, "start", ""),
):
    verbs = typer.Typer(cls=_group(default, of_words), help=help_text, no_args_is_help=not default, rich_markup_mode="rich")
    app.add_typer(verbs, name=group)
    for name, function, examples in commands:
        _command(name, function, examples, to=verbs)
    if group == "serve":
        tokens = typer.Typer(help=serve.TOKEN_HELP, no_args_is_help=True, rich_markup_mode="rich")
        verbs.add_typer(tokens, name="token")
        for name, function, examples in serve.TOKEN_COMMANDS:
            _command(name, function, examples, to=tokens)


def _warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    """A warning as one line for people; the place in the code helps only those who debug."""
    if terminal.is_verbose():
        return f"{filename}:{lineno}: {category.__name__}: {message}\n"
    return f"warning: {message}\n"


def main() -> None:
    """Entry point of the script `smartflow`."""
    process.open_streams()
    warnings.formatwarning = _warning
    logging.getLogger("smartflow_assets.adapters.warehouse").addHandler(terminal.Notes(logging.WARNING))
    try:
        app()
    except SystemExit as end:
        if isinstance(end.code, int):
            process.leave(end.code)
        raise


if __name__ == "__main__":
    main()
