"""The command line, ``hetero``.

Commands are named by import string and loaded when called, so that ``hetero --help`` answers at once and no package
imports one that it must not.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App
from cyclopts.exceptions import CycloptsError

import hetero
from hetero.errors import InputError


def build_app() -> App:
    """The whole command tree."""
    app = App(
        name="hetero",
        version=hetero.__version__,
        help="One embedding space, every device: train small models to live in a large model's embedding space, "
        "export them, and prove that they still retrieve.",
        help_format="plaintext",
    )
    app.command("hetero.commands:demo", name="demo", help="The whole chain on emoji: train, export, verify, report.")
    app.command("hetero.commands:run", name="run", help="Run a recipe; finished stages are skipped.")
    app.command(
        _group(
            "train",
            "Train one part of a recipe.",
            cloud="hetero.commands:train_cloud",
            students="hetero.commands:train_students",
        )
    )
    app.command(
        "hetero.commands:evaluate", name="evaluate", help="Compute the compatibility matrix of a recipe's models."
    )
    app.command("hetero.commands:embed", name="embed", help="Embed a folder of images with a trained model.")
    app.command(_group("data", "Look at data before training on it.", check="hetero.data.commands:check_command"))
    app.command("export.commands:export_command", name="export", help="Export a model directory as a bundle.")
    app.command(_group("bundle", "Look at bundles.", check="export.commands:bundle_check_command"))
    app.command(
        "device_tests.commands:verify_command",
        name="verify",
        help="Verify bundles on targets; says pass, fail or not verified.",
    )
    app.command("device_tests.commands:report_command", name="report", help="Write a run's report again.")
    app.command(
        _group(
            "device",
            "Targets that bundles are verified on.",
            setup="device_tests.commands:device_setup_command",
            list="device_tests.commands:device_list_command",
        )
    )
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done or passed, 1 a gate failed, 2 bad input, 3 not verified."""
    app = build_app()
    try:
        outcome = app(
            list(arguments) if arguments is not None else None,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except CycloptsError as error:
        print(f"hetero: {error}\nTry 'hetero --help'.", file=sys.stderr)
        sys.exit(2)
    except InputError as error:
        print(f"hetero: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("hetero: interrupted; the same command continues where it stopped", file=sys.stderr)
        sys.exit(130)
    sys.exit(outcome if isinstance(outcome, int) else 0)


def _group(name: str, help: str, **commands: str) -> App:
    group = App(name=name, help=help, help_format="plaintext")
    for command, function in commands.items():
        group.command(function, name=command)
    return group
