"""The bundle's README: a model card for the people who put the model into an application."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from export.bundle.accelerators import KNOWN, instead_in_words, left_in_words, taken_in_words
from export.bundle.manifest import Manifest, ModelEntry
from export.kinds.registry import formats
from export.precision.recommendation import RULE, recommendations
from export.precision.table import offer
from export.precision.text import how_made
from hetero.display.markdown import markdown_templates
from hetero.display.wording import change_in_words
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace


def model_card(manifest: Manifest, space: EmbeddingSpace, preprocessing: Preprocessing) -> str:
    """Return Markdown: files and checks, the contract, how to prepare an image, how to call the model.

    Args:
        manifest: Its ``files`` may still be empty.
        space: The embedding space of the vectors.
        preprocessing: The preprocessing contract.
    """
    by_name = {format.name: format for format in formats()}
    sections = {name: format.card for name, format in by_name.items()}
    template = (Path(__file__).parent / "card.md.j2").read_text(encoding="utf-8")
    environment = markdown_templates(sections)
    environment.filters["change"] = partial(change_in_words, digits=2, percent=True)
    environment.filters.update(taken=taken_in_words, left=left_in_words, instead=instead_in_words)
    return environment.from_string(template).render(
        manifest=manifest,
        space=space,
        preprocessing=preprocessing,
        formats=by_name,
        accelerators=KNOWN,
        resize_rule=resize_rule(preprocessing),
        grey_rule=grey_rule(preprocessing),
        how_made=how_made,
        calls=_calls(manifest, sections),
        offers={(model.format, model.precision): offer(model.format, model.precision) for model in manifest.models},
        rule=RULE,
        recommended=recommendations(manifest),
        warnings=sorted({warning for model in manifest.models for warning in model.warnings}),
    )


def _calls(manifest: Manifest, sections: Mapping[str, str]) -> list[tuple[str, str, list[ModelEntry]]]:
    """Return the formats whose call the card shows, by the headings of their sections.

    Returns:
        A format's name; the file that its section names, which is the first without byte output; and its models.
    """
    models = [model for model in manifest.models if model.precision != "int8-uint8io"] or manifest.models
    files = {model.format: model.file for model in reversed(models)}
    return [
        (name, files[name], [model for model in manifest.models if model.format == name])
        for name in sorted(files, key=lambda name: sections[name])
    ]


def grey_rule(preprocessing: Preprocessing) -> str:
    """Describe how an application treats a grey file of more than 8 bits; empty if the contract does not say."""
    if preprocessing.grey_range is None:
        return ""
    low, high = preprocessing.grey_range
    return (
        "A value v of a grey file of more than 8 bits becomes "
        f"floor((v - {low:.15g}) / {high - low:.15g} * 255 + 0.5), at least 0 and at most 255. "
        "Take the values as they are stored: a platform's own decoder hands over their high byte."
    )


def resize_rule(preprocessing: Preprocessing) -> str:
    """Describe the part of preprocessing that an application does itself."""
    width, height = preprocessing.width, preprocessing.height
    target = f"{width} x {height} pixels (width x height)"
    how = {
        "squash": f"Resize the whole image to {target}; its aspect ratio is not kept.",
        "pad": (
            f"Scale the whole image by min({width} / its width, {height} / its height), round both sides to whole "
            f"pixels (at least 1), and place it in the middle of {target} filled with the grey level "
            f"{preprocessing.pad_value}; an odd remainder goes to the right and to the bottom."
        ),
        "crop": f"Cut out the largest centred part of the shape {width}:{height} and resize it to {target}.",
    }
    return how[preprocessing.resize]
