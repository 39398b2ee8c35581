"""The command line, ``hetero``.

Commands are named by import string and loaded when called, so that ``hetero --help`` answers at once and no package
imports another that it must not.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence

from cyclopts import App
from cyclopts.exceptions import CycloptsError

import hetero
from hetero.cli.ending import BAD_INPUT, ending, leave
from hetero.display.text import say
from hetero.storage.scratch import sweep_scratch

BRIEF = {
    "demo": ("hetero.pipeline.commands.run:demo", "The whole chain on emoji: train, export, verify, report."),
    "run": ("hetero.pipeline.commands.run:run", "Run a recipe; finished stages are skipped."),
    "search": (
        "hetero.pipeline.commands.search:search_command",
        "Search for each device tier's best student, in a budget.",
    ),
    "upgrade": ("hetero.upgrade.commands:upgrade_command", "Train a new cloud model that searches the old gallery."),
    "adapt": ("hetero.linear.command:adapt_command", "Adapt a model to a new domain; the old gallery stays."),
    "explain": ("hetero.linear.explanation.command:explain_command", "Tell which photos of an adaptation did harm."),
    "forget": ("hetero.linear.deletion.command:forget_command", "Forget photos that a model was adapted to, exactly."),
    "compare": ("hetero.compare.commands:compare_command", "Train several methods side by side, over seeds."),
    "fleet": ("hetero.upgrade.fleet.command:fleet_command", "Measure query models against galleries of all versions."),
    "evaluate": ("hetero.pipeline.commands.run:evaluate", "Compute the compatibility matrix of a recipe's models."),
    "embed": ("hetero.pipeline.commands.run:embed", "Embed a folder of images with a trained model."),
    "export": ("export.commands:export_command", "Export a model directory as a bundle."),
    "verify": ("device_tests.commands:verify_command", "Verify bundles on targets: pass, fail or not verified."),
    "report": ("hetero.pipeline.commands.report:report_command", "Write a run's report again."),
}
GROUPS = {
    "train": (
        "Train one part of a recipe.",
        {
            "cloud": "hetero.pipeline.commands.run:train_cloud",
            "students": "hetero.pipeline.commands.run:train_students",
        },
    ),
    "backfill": ("Re-embed a gallery bit by bit.", {"plan": "hetero.upgrade.backfill.commands:plan_command"}),
    "data": ("Look at data before training on it.", {"check": "hetero.data.checking.command:check_command"}),
    "space": (
        "Look at a space before training for it.",
        {"check": "hetero.geometry.commands:check_command"},
    ),
    "bundle": (
        "Look at bundles.",
        {
            "check": "export.bundle_commands:check_command",
            "verify": "export.bundle_commands:verify_command",
            "inspect": "export.bundle_commands:inspect_command",
            "app": "export.bundle_commands:app_command",
            "hand-on": "export.bundle_commands:hand_on_command",
            "diff": "export.bundle_commands:diff_command",
            "sign": "export.bundle_commands:sign_command",
            "key": "export.bundle_commands:key_command",
            "debug": "export.commands:debug_command",
        },
    ),
    "attestation": (
        "Look at attestations of verdicts.",
        {"check": "device_tests.attestation.command:check_command"},
    ),
    "device": (
        "Targets that bundles are verified on.",
        {
            "setup": "device_tests.commands:device_setup_command",
            "list": "device_tests.commands:device_list_command",
            "faults": "device_tests.commands:device_faults_command",
            "fleet": "device_tests.fleet.command:device_fleet_command",
            "latency": "hetero.pipeline.commands.latency:latency_command",
        },
    ),
}

# ``export`` takes a model first and so cannot have subcommands, but this one reads best there.
ALIASES: dict[tuple[str, ...], list[str]] = {("export", "debug"): ["bundle", "debug"]}


def build_app(*, brief: bool = False) -> App:
    """Build the whole command tree.

    Args:
        brief: True to describe each command in one line without loading it, for the overview; otherwise a command's
            help is its docstring.
    """
    app = App(
        name="hetero",
        version=hetero.__version__,
        help="One embedding space, every device: train small models to live in a large model's embedding space, "
        "export them, and prove that they still retrieve.",
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    for name, (function, line) in BRIEF.items():
        app.command(function, name=name, **({"help": line} if brief else {}))
    for name, (line, commands) in GROUPS.items():
        group = App(name=name, help=line, help_format="plaintext")
        for command, function in commands.items():
            group.command(function, name=command)
        app.command(group)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    0: done or passed, 1: a gate failed, 2: bad input, or a file or disk that cannot be used, 3: not verified, 70: a
    fault of this project, without a verdict, 130: interrupted, 141: nobody read the output any more.
    """
    _wait_briefly()
    _print_everything()
    sweep_scratch()
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    tokens = ALIASES.get(tuple(tokens[:2]), tokens[:2]) + tokens[2:]
    app = build_app(brief=not tokens or tokens[0].startswith("-"))
    try:
        outcome = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        status = outcome if isinstance(outcome, int) else 0
    except CycloptsError:
        status = _fail("\n".join([*_usage_errors(app, tokens), "Try 'hetero --help'."]), BAD_INPUT)
    except BaseException as error:
        code, message = ending(error)
        status = _fail(message, code) if message else code
    leave(status)


def _wait_briefly() -> None:
    """Let threads that wait for each other sleep early.

    By default they wait in a loop for milliseconds, and on a busy machine occupy the core of the thread that they wait
    for. These variables are read when torch is loaded: the portable policy and, for GNU's library, some 30 microseconds
    of waiting.
    """
    if not any(name in os.environ for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")):
        os.environ.update(OMP_WAIT_POLICY="passive", GOMP_SPINCOUNT="1000")


def _print_everything() -> None:
    """Print characters that the terminal's encoding lacks, and bytes of paths that are not text, as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(message: str, code: int) -> int:
    with contextlib.suppress(OSError):  # nobody reads this either
        say(f"hetero: {message}", error=True)
    return code


def _usage_errors(app: App, tokens: list[str]) -> list[str]:
    """Return all usage errors: parse again without the offending option, until there are no further errors."""
    errors: list[str] = []
    while True:
        try:
            app.parse_args(tokens, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            errors += [line for line in [str(error)] if line not in errors]
            fewer = _without(tokens, _option_of(error))
            if len(fewer) == len(tokens):
                return errors
            tokens = fewer
        else:
            return errors


def _option_of(error: CycloptsError) -> str | None:
    """Return the option that an error is about."""
    tokens = [getattr(error, "token", None), *getattr(getattr(error, "argument", None), "tokens", ())]
    return next((token.keyword for token in tokens if token is not None), None)


def _without(tokens: list[str], option: str | None) -> list[str]:
    """Return the command line without an option and its value."""
    rest: list[str] = []
    dropped = False
    for token in tokens:
        is_value = dropped and not token.startswith("-")
        dropped = option is not None and token == option
        if not (dropped or is_value or (option is not None and token.startswith(f"{option}="))):
            rest.append(token)
    return rest
