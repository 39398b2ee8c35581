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
from itertools import takewhile

from cyclopts import App
from cyclopts.exceptions import CycloptsError

import hetero
from hetero.cli.ending import BAD_INPUT, ending, leave
from hetero.cli.sole_ending import sole_ending
from hetero.display.progress import VARIABLE
from hetero.display.text import say
from hetero.processes.launch import require_one_process
from hetero.storage.scratch import sweep_scratch

BRIEF = {
    "demo": ("hetero.pipeline.commands.run:demo", "The whole chain on emoji: train, export, verify, report."),
    "run": ("hetero.pipeline.commands.run:run", "Run a recipe; finished stages are skipped."),
    "student": (
        "hetero.pipeline.commands.student:student_command",
        "Make a student from a cloud model and photos: train, export, verify.",
    ),
    "search": (
        "hetero.pipeline.commands.search:search_command",
        "Search for each device tier's best student, in a budget.",
    ),
    "upgrade": ("hetero.upgrade.commands:upgrade_command", "Train a new cloud model that searches the old gallery."),
    "anchor-factors": (
        "hetero.linear.anchoring_command:anchor_factors_command",
        "Keep what holds a model in its space when its photos are gone.",
    ),
    "adapt": ("hetero.linear.command:adapt_command", "Adapt a model to a new domain; the old gallery stays."),
    "explain": ("hetero.linear.explanation.command:explain_command", "Tell which photos of an adaptation did harm."),
    "forget": ("hetero.linear.deletion.command:forget_command", "Forget photos that a model was adapted to, exactly."),
    "compare": ("hetero.compare.commands:compare_command", "Train several methods side by side, over seeds."),
    "fleet": ("hetero.upgrade.fleet.command:fleet_command", "Measure query models against galleries of all versions."),
    "evaluate": ("hetero.pipeline.commands.run:evaluate", "Compute the compatibility matrix of a recipe's models."),
    "embed": ("hetero.pipeline.commands.embed:embed_command", "Embed images with any model, however many."),
    "export": ("export.commands:export_command", "Export a model as a bundle."),
    "verify": ("device_tests.commands:verify_command", "Verify bundles on targets: pass, fail or not verified."),
    "report": ("hetero.pipeline.commands.report:report_command", "Write a run's report again."),
    "serve": ("hetero.serving.commands:serve_command", "Serve a gallery over HTTP."),
}
GROUPS = {
    "train": (
        "Train one part of a recipe.",
        {
            "cloud": ("hetero.pipeline.commands.run:train_cloud", "Train the cloud model."),
            "students": ("hetero.pipeline.commands.run:train_students", "Train the students."),
        },
    ),
    "backfill": (
        "Re-embed a gallery bit by bit.",
        {
            "plan": ("hetero.upgrade.backfill.commands:plan_command", "Plan which images to re-embed first."),
            "run": ("hetero.upgrade.backfill.running.commands:run_command", "Re-embed while it answers, then swap."),
            "status": ("hetero.upgrade.backfill.running.commands:status_command", "Say how far backfills have come."),
            "roll-back": ("hetero.upgrade.backfill.running.commands:roll_back_command", "Undo the last swap."),
        },
    ),
    "data": (
        "Look at data before training on it.",
        {
            "check": ("hetero.data.checking.command:check_command", "Report what a data set holds and what is wrong."),
            "index": ("hetero.data.index.command:index_command", "Write where the images of a data set lie."),
        },
    ),
    "space": (
        "Look at a space before training for it.",
        {"check": ("hetero.geometry.commands:check_command", "Report what a cloud's vectors are like.")},
    ),
    "gallery": (
        "Look at a gallery store, or make a smaller one.",
        {
            "tune": ("hetero.gallery.commands:tune_command", "Find the least effort that answers as an exact search."),
            "compact": ("hetero.compact.command:compact_command", "Write a smaller copy, in a space of its own."),
        },
    ),
    "retrieval": (
        "Photos with a cloud's vectors, to export with.",
        {"make": ("hetero.pipeline.commands.retrieval:make_command", "Write them, to verify and to calibrate with.")},
    ),
    "bundle": (
        "Look at bundles, sign them and compare them.",
        {
            "check": ("export.bundle_commands:check_command", "Check that a bundle is sound; say what is in it."),
            "verify": ("export.bundle_commands:verify_command", "Verify a bundle's digests and its signature."),
            "inspect": ("export.bundle_commands:inspect_command", "Say how each file was made and what it takes."),
            "app": ("export.bundle_commands:app_command", "Write what applications need of a bundle."),
            "gallery": ("export.bundle_commands:gallery_command", "Copy a bundle, with the items of a gallery in it."),
            "hand-on": ("export.bundle_commands:hand_on_command", "Copy a bundle without its images."),
            "diff": ("export.bundle_commands:diff_command", "Say in which files and figures two bundles differ."),
            "sign": ("export.bundle_commands:sign_command", "Sign a bundle that exists."),
            "key": ("export.bundle_commands:key_command", "Make a key pair for signing."),
            "debug": ("export.commands:debug_command", "Find the first operator where a reduced precision goes wrong."),
        },
    ),
    "attestation": (
        "Look at attestations of verdicts.",
        {"check": ("device_tests.attestation.command:check_command", "Say who verified what, and whether it passed.")},
    ),
    "device": (
        "Targets that bundles are verified on.",
        {
            "setup": ("device_tests.commands:device_setup_command", "Set up a target."),
            "list": ("device_tests.commands:device_list_command", "List the targets, and which are ready."),
            "faults": ("device_tests.commands:device_faults_command", "Break a bundle on purpose: is it noticed?"),
            "fleet": ("device_tests.fleet.command:device_fleet_command", "Hold app versions against gallery versions."),
            "latency": ("hetero.pipeline.commands.latency:latency_command", "Measure a search space's operators."),
        },
    ),
}
"""Groups of commands with their lines, and those of their commands."""

SHARED = ("demo", "run", "search", "train", "evaluate", "upgrade")
"""Commands that processes which ``torchrun`` started work on together."""

# ``export`` takes a model first and so cannot have subcommands, but this one reads best there.
ALIASES: dict[tuple[str, ...], list[str]] = {("export", "debug"): ["bundle", "debug"]}


def build_app(*, named: int = 2) -> App:
    """Build the whole command tree.

    Args:
        named: Number of words of a command that are known. Commands of more words are described in one line each
            without loading them, for an overview; a command's own help is its docstring.
    """
    app = App(
        name="hetero",
        version=hetero.__version__,
        help="One embedding space, every device: train small models to live in a large model's embedding space, "
        "export them, and prove that they still retrieve.\n\n"
        "Every command takes --quiet (no progress) and --plain (progress in lines, for logs).",
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    for name, (function, line) in BRIEF.items():
        app.command(function, name=name, **({"help": line} if named < 1 else {}))
    for name, (line, commands) in GROUPS.items():
        group = App(name=name, help=line, help_format="plaintext")
        for command, (function, brief) in commands.items():
            group.command(function, name=command, **({"help": brief} if named < 2 else {}))
        app.command(group)
    app.register_install_completion_command(help="Install the completion of commands and options for your shell.")
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
    tokens = _with_progress(ALIASES.get(tuple(tokens[:2]), tokens[:2]) + tokens[2:])
    app = build_app(named=len([*takewhile(lambda token: not token.startswith("-"), tokens[:2])]))
    try:
        if tokens and tokens[0] in {*BRIEF, *GROUPS}.difference(SHARED):
            require_one_process(f"hetero {tokens[0]} runs in one process, unlike {', '.join(SHARED)}")
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


def _with_progress(tokens: list[str]) -> list[str]:
    """Return the command line without the options that say how every command shows its progress."""
    for mode in ("quiet", "plain"):
        if f"--{mode}" in tokens:
            os.environ[VARIABLE] = mode
    return [token for token in tokens if token not in ("--quiet", "--plain")]


def _print_everything() -> None:
    """Print characters that the terminal's encoding lacks, and bytes of paths that are not text, as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(message: str, code: int) -> int:
    message, code = sole_ending(message, code)
    if not message:
        return code
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
