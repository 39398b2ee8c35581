"""Models of a recipe that learn from labels which its training images do not have; no image is opened."""

from __future__ import annotations

from hetero.data.prepare import training_labels
from hetero.mistakes import attempt
from hetero.objectives.labels import label_problems
from hetero.pipeline.draft import Draft


def unlabelled_problems(draft: Draft, pending: set[str] | None) -> list[str]:
    """Return the obstacles to training a recipe's models on its images without labels, one line a model.

    Args:
        draft: The recipe; parts that could not be read are not checked.
        pending: Directories of the stages that are to run; None for all.
    """
    recipe, problems = draft.recipe, list[str]()
    # Data that cannot be found is reported with the other files.
    counts = attempt([], "data", lambda: training_labels(recipe.data)) if draft.knows_data else None
    unlabelled, images = counts or (0, 0)
    if not unlabelled:
        return []
    if (text := recipe.cloud.text) and text.fit and not text.describes and unlabelled == images:
        problems.append(
            "cloud.text.fit: a text tower is fitted by the names of classes, and no training image has a label; name a "
            "table of what texts describe"
        )
    models = [] if recipe.cloud.is_external else [("cloud", "cloud", recipe.cloud.objectives, False)]
    for index, student in enumerate(recipe.students):
        place = f"students.{index} ({student.name})"
        models.append((f"students/{student.name}", place, student.objectives, not student.independent))
    if recipe.tiers:
        models.append(("supernet", "search.supernet", recipe.search.supernet.objectives, True))
        models.append((f"students/{recipe.tiers[0].name}", "search.student", recipe.search.student.objectives, True))
    for directory, place, terms, has_cloud in models:
        # Without a cloud model to learn from, models are trained on the images that have a label.
        learnable = has_cloud or unlabelled == images
        if learnable and (pending is None or directory in pending):
            lines = label_problems(terms, unlabelled=unlabelled, images=images, has_cloud=has_cloud)
            problems += [f"{place}.objectives: {line}" for line in lines]
    return problems
