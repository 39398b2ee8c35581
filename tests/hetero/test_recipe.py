import pytest

from hetero.errors import InputError
from hetero.pipeline.draft import built_in, load_recipe

GOOD = """
name = "mine"
[data]
kind = "folder"
path = "photos"
[preprocessing]
height = 64
width = 64
[[students]]
name = "edge"
max_macs = 3000000
"""


def write(tmp_path, text):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return path


def test_a_recipe_is_filled_with_defaults_and_paths_count_from_its_folder(tmp_path):
    recipe = load_recipe(write(tmp_path, GOOD))
    assert recipe.data.path == str(tmp_path / "photos")
    assert recipe.students[0].max_macs == 3_000_000
    terms = [term.name for term in recipe.students[0].objectives]
    assert terms == ["cloud_regression", "instance_contrastive"]
    assert recipe.verify.targets == ("desktop", "phone-arm64")
    assert recipe.verify.policy == ""


@pytest.mark.parametrize(("named", "read"), [("release", "release"), ("mine.toml", "{}/mine.toml")])
def test_a_policy_is_a_name_or_a_file_beside_the_recipe(tmp_path, named, read):
    recipe = load_recipe(write(tmp_path, f"{GOOD}[verify]\npolicy = '{named}'"))
    assert recipe.verify.policy == read.format(tmp_path)


def test_what_a_student_is_adapted_with_counts_from_the_recipes_folder(tmp_path):
    table = """[students.adapt]
gallery = "old.safetensors"
data = { kind = "folder", path = "new" }
anchors = { kind = "csv", path = "old.csv" }
settings = { part = "neck" }
"""
    recipe = load_recipe(write(tmp_path, GOOD + table))
    domain = recipe.students[0].adapt
    named = [domain.gallery, domain.data.path, domain.anchors.path]
    assert named == [str(tmp_path / name) for name in ("old.safetensors", "new", "old.csv")]
    assert domain.labels == "" and domain.settings.part == "neck"
    assert [model.name for model in recipe.models] == ["edge", "edge-adapted"]


def test_three_mistakes_are_told_at_once(tmp_path):
    text = (
        GOOD.replace("height = 64", 'height = "tall"')
        .replace('kind = "folder"', 'kind = "video"')
        .replace("max_macs", "max_mac")
    )
    with pytest.raises(InputError) as caught:
        load_recipe(write(tmp_path, text))
    assert len(caught.value.problems) == 3
    for part in ("preprocessing.height", "data.kind", "students.0.max_mac: unknown key"):
        assert part in str(caught.value)


def test_mistakes_in_meaning_are_told_at_once(tmp_path):
    text = (
        GOOD
        + """
[[students]]
name = "edge"
independent = true
training = { steps = 0 }
objectives = [{ name = "cloud_head" }, { name = "magic" }]
"""
    )
    with pytest.raises(InputError) as caught:
        load_recipe(write(tmp_path, text))
    for part in (
        "used by 2 models",
        "steps: expected 1 or more, or 'auto', got 0",
        "unknown objective 'magic'",
        "cloud_head needs a cloud",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(("text", "message"), [("name = ", "not a TOML file"), ("", "name: missing")])
def test_a_broken_file_is_one_clear_error(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load_recipe(write(tmp_path, text))


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="found no file"):
        load_recipe(tmp_path / "absent.toml")


def test_a_name_that_would_leave_the_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="becomes a file's name"):
        load_recipe(write(tmp_path, GOOD.replace('"edge"', '"../edge"')))


@pytest.mark.parametrize("name", ["../../escaped", "a\\\\b", ".hidden"])
def test_a_recipe_does_not_name_a_folder_elsewhere(tmp_path, name):
    text = GOOD.replace('"mine"', f'"{name}"')
    with pytest.raises(InputError, match="becomes the name of the run's folder"):
        load_recipe(write(tmp_path, text))


def test_the_demo_holds_two_students_and_a_control():
    recipe = built_in("demo")
    assert [student.independent for student in recipe.students] == [False, False, True]


def test_objectives_carry_their_options_and_wrong_ones_are_told_with_the_rest(tmp_path):
    terms = '[{ name = "hvs_composite", weight = 0.3 }, { name = "csd", temperature = 0.05, neighbours = 20 }]'
    recipe = load_recipe(write(tmp_path, f"{GOOD}objectives = {terms}\n"))
    assert recipe.students[0].objectives[1].options == {"temperature": 0.05, "neighbours": 20}
    wrong = terms.replace("0.05", "-1").replace("neighbours", "neighbors")
    text = f"{GOOD}objectives = {wrong}\n"
    for broken in (text, text.replace("height = 64", 'height = "tall"')):
        with pytest.raises(InputError) as caught:
            load_recipe(write(tmp_path, broken))
        for part in ("csd.temperature: expected a number above 0, got -1", "csd.neighbors: unknown option"):
            assert part in str(caught.value)


def test_images_are_mixed_only_where_vectors_alone_are_compared(tmp_path):
    mixing = GOOD + "training = { mixup = 0.2 }\n"
    classes = 'objectives = [{ name = "cloud_regression" }, { name = "hvs_composite" }]\n'
    assert load_recipe(write(tmp_path, mixing)).students[0].training.mixup == 0.2
    with pytest.raises(InputError) as caught:
        load_recipe(write(tmp_path, mixing + classes + "[cloud]\ntraining = { mixup = 1.0 }\n"))
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "cloud.training.mixup",
        "students.0 (edge).training.mixup",
    ]
    with pytest.raises(InputError, match="students.0 .*mixup"):
        load_recipe(write(tmp_path, mixing + "independent = true\n"))


def test_changed_copies_have_no_originals_to_crop(tmp_path):
    crops = GOOD + "training = { augment = { crop_area = [0.3, 1.0], crop_from = '%s' } }\n"
    copies = "[cloud]\ncopies = 2\n"
    augment = load_recipe(write(tmp_path, crops % "original")).students[0].training.augment
    assert augment is not None and augment.crops
    with pytest.raises(InputError, match=r"students\.0 \(edge\)\.training\.augment\.crop_from: the changed copies"):
        load_recipe(write(tmp_path, crops % "original" + copies))
    assert load_recipe(write(tmp_path, crops % "prepared" + copies)).cloud.copies == 2


def test_a_cloud_model_given_as_a_file_can_run_and_one_given_as_vectors_cannot(tmp_path):
    beside = GOOD + "refresh = 0.2\n"
    assert load_recipe(write(tmp_path, beside + "[cloud]\nonnx = 'x.onnx'\n")).students[0].embeds_live == 0.2
    with pytest.raises(InputError, match=r"students\.0 \(edge\)\.refresh: .* only its embeddings are known"):
        load_recipe(write(tmp_path, beside + "[cloud]\nembeddings = 'x.npy'\n"))


def test_a_model_with_its_own_space_is_not_judged_by_the_clouds_vectors(tmp_path):
    text = (
        GOOD
        + """
training = { judged_by = "agreement", steps = "auto" }
[[students]]
name = "control"
independent = true
objectives = [{ name = "own_head" }]
training = { judged_by = "label-free" }
[cloud.training]
judged_by = "agreement"
"""
    )
    with pytest.raises(InputError) as caught:
        load_recipe(write(tmp_path, text))
    assert len(caught.value.problems) == 2
    for part in (
        "cloud.training.judged_by: agreement compares with the cloud's vectors",
        "students.1 (control).training.judged_by: label-free compares",
    ):
        assert part in str(caught.value)


def test_a_supernet_needs_a_number_of_steps(tmp_path):
    text = GOOD + '[search.supernet.training]\nsteps = "auto"\nmax_steps = 9000'
    with pytest.raises(InputError, match=r"search.supernet.training.steps: expected a number, got 'auto'"):
        load_recipe(write(tmp_path, text))
