"""The pipeline's stages, each by itself, in a real torch: what they compute is held against values worked out by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests.benchmarks.target import scenario

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    done = scenario("stages.py")
    assert done.returncode == 0, done.stderr
    cases: dict[str, Any] = json.loads(done.stdout)
    broken = {name: case["broken"] for name, case in cases.items() if isinstance(case, dict) and "broken" in case}
    assert not broken, "\n".join(broken.values())
    return cases


# --- normalise --------------------------------------------------------------------------------------------------------


def test_min_max_and_z_score_give_the_values_worked_out_by_hand(found: dict[str, Any]) -> None:
    case = found["normalised"]
    assert case["min-max"] == [0, 0.25, 0.5, 0.75, 1]
    root = math.sqrt(2)  # the population's standard deviation of 1..5, where the article says 1
    assert case["z-score"] == pytest.approx([-root, -root / 2, 0, root / 2, root], abs=1e-6)
    assert case["two channels"] == pytest.approx([2.0, 0.0])  # each channel by its own mean and deviation
    assert "two different ends" in found["min_max_of_equal_ends"]


def test_statistics_are_those_of_the_pixels_and_one_colour_divides_by_one(found: dict[str, Any]) -> None:
    assert found["normalised"]["mean"] == pytest.approx([0.5, 0.2]) and found["normalised"]["std"] == [0.5, 1.0]
    assert found["statistics_agree_with_torch"] < 1e-12


# --- augment ----------------------------------------------------------------------------------------------------------


def test_padding_adds_a_border_of_zeros(found: dict[str, Any]) -> None:
    assert found["padded"] == {"shape": [2, 3, 8, 9], "sum": 2 * 3 * 4 * 5, "border": 0}


def test_a_random_crop_shifts_each_image_by_its_own_amount_up_to_the_padding(found: dict[str, Any]) -> None:
    case = found["cropped"]
    assert case["shape"] == [16, 1, 9, 9] and case["none"] is True
    assert len(case["shifts"]) > 5 and max(abs(part) for shift in case["shifts"] for part in shift) == 2
    assert case["same seed"] is True and case["other seed"] is False


def test_a_random_rotation_turns_about_the_centre_both_ways(found: dict[str, Any]) -> None:
    case = found["rotated"]
    assert case["shape"] == [16, 1, 9, 9] and case["places"] > 4 and case["same seed"] is True
    # The pixel lay two from the centre, and stays there within half a pixel's diagonal.
    assert case["distances"][0] >= 2 - 0.71 and case["distances"][1] <= 2 + 0.71
    assert case["above"] > 0 and case["below"] > 0 and case["none"] < 1e-5


def test_a_random_flip_mirrors_about_half_of_the_images(found: dict[str, Any]) -> None:
    here, mirrored = found["flipped"]["6"], found["flipped"]["2"]
    assert here + mirrored == 16 and min(here, mirrored) >= 4


def test_preparation_augments_by_the_seed_and_leaves_the_images_and_the_evaluation_alone(found: dict[str, Any]) -> None:
    case = found["prepared"]
    assert case["shape"] == [24, 3, 8, 8] and case["dtype"] == "torch.float32" and case["channels_last"] is True
    assert case["same seed"] is True and case["other seed"] is False and case["moved"] is False
    assert case["untouched"] is True and abs(case["evaluation"]) < 1e-5


# --- clean and split --------------------------------------------------------------------------------------------------


def test_duplicates_in_memory_are_counted_and_left_out(found: dict[str, Any]) -> None:
    case = found["cleaned_images"]
    assert case["kept"] == 3 and case["labels"] == [0, 0, 1]
    assert case["counts"] == {"duplicate": 1, "the same image under two classes": 2}
    assert case["notes"] == ["left out: 1 duplicate, 2 the same image under two classes"]


def test_an_empty_class_and_a_single_class_are_refused_by_name(found: dict[str, Any]) -> None:
    empty, single, sound = found["classes_that_cannot_be"]
    assert "'dog'" in empty and "'cat'" not in empty and "one class ('cat') with 1 image:" in single
    assert sound == "accepted"


def test_a_split_is_stratified_disjoint_complete_and_seeded(found: dict[str, Any]) -> None:
    case = found["split"]
    assert case["counts"] == [[70, 35, 7], [10, 5, 1], [20, 10, 2]]
    assert case["all, once"] is True and case["same seed"] is True and case["other seed"] is False


def test_tiny_classes_are_in_every_part_or_are_refused_by_name(found: dict[str, Any]) -> None:
    case = found["split"]
    assert case["tiny"] == [3, 2, 2] and case["greedy"] == [1, 3, 1]
    assert "class 'dog' has 2 images, too few for 3 parts" in case["too few"]


def test_few_labels_are_so_many_of_each_class(found: dict[str, Any]) -> None:
    assert found["few"]["counts"] == [3, 3, 3, 3] and found["few"]["other seed"] is False
    assert found["few"]["too many"] == "class 'cat' has 10 images to train on, not 11"


# --- batch and shuffle ------------------------------------------------------------------------------------------------


def test_every_image_comes_once_an_epoch_with_its_label_in_an_order_by_the_seed(found: dict[str, Any]) -> None:
    case = found["batches"]
    assert case["sizes"] == [8, 8, 5] and case["each once"] is True and case["labels fit"] is True
    assert case["second epoch"] is True and case["same seed"] is True and case["other seed"] is False
    assert case["in order"] is True


def test_a_last_batch_that_is_smaller_is_left_out_only_where_it_would_be_compiled_for(found: dict[str, Any]) -> None:
    assert found["batches"]["whole only"] == [8, 8, 2] and found["batches"]["less than a batch"] == [5, 1]


def test_an_epoch_is_taken_up_where_it_was_left(found: dict[str, Any]) -> None:
    assert found["batches_taken_up"] == {"state": {"epoch": 4, "position": 8}, "rest": True}


# --- loss, optimiser, schedule ----------------------------------------------------------------------------------------


def test_cross_entropy_is_the_mean_of_the_negative_log_likelihoods(found: dict[str, Any]) -> None:
    assert found["loss"] == pytest.approx((math.log(1 + math.exp(-2)) + math.log(2)) / 2, abs=1e-6)


def test_sgd_is_momentum_and_adam_has_a_second_moment(found: dict[str, Any]) -> None:
    case = found["optimisers"]
    # v = 0.5, then 0.9 * 0.5 + 0.5; rate 0.1.
    assert case["sgd"] == pytest.approx([1 - 0.05, 1 - 0.05 - 0.095])
    m = (0.9 * 0.05 - 0.1 * 0.25) / (1 - 0.9**2)
    v = (0.999 * 0.001 * 0.25 + 0.001 * 0.0625) / (1 - 0.999**2)
    assert case["adam"] == pytest.approx([0.9, 0.9 - 0.1 * m / (math.sqrt(v) + 1e-8)], abs=1e-6)


def test_weight_decay_goes_through_adams_moments_and_past_adamws(found: dict[str, Any]) -> None:
    case = found["optimisers"]
    assert case["sgd, weight decay"] == pytest.approx([0.95])
    assert case["adam, weight decay"] == pytest.approx([0.9])  # L2: a gradient of 0.5, normalised to 1
    assert case["adamw, weight decay"] == pytest.approx([0.95])


def test_frozen_parameters_are_not_given_to_the_optimiser_and_fused_is_what_it_says(found: dict[str, Any]) -> None:
    case = found["optimisers"]
    assert case["parameters"] == 1 and case["fused"] is True and case["not fused"] is False


def test_rates_warm_up_and_decay_as_each_schedule_says(found: dict[str, Any]) -> None:
    case = found["schedules"]
    assert set(case["constant"]) == {0.8}
    cosine = case["cosine"]
    assert cosine[:3] == pytest.approx([0.08, 0.16, 0.24]) and cosine[10] == pytest.approx(0.8)
    assert cosine[55] == pytest.approx(0.4) and 0 < cosine[-1] < 0.001
    step = case["step"]
    assert step[0] == pytest.approx(0.08) and step[10] == pytest.approx(0.8)
    assert sorted({round(rate, 6) for rate in step[10:]}) == [0.008, 0.08, 0.8]
    cycle = case["one-cycle"]
    # torch's OneCycleLR: from a 25th of the rate up in 30 % of the steps, then down to almost nothing.
    assert (
        cycle[0] == pytest.approx(0.8 / 25) and cycle.index(max(cycle)) == 30 and max(cycle) == pytest.approx(0.8, 1e-3)
    )
    assert cycle[-1] < 0.001 and all(rate > 0 for rate in cycle)
    assert all(len(rates) == 1 and 0 < rates[0] <= 0.8 for rates in case["short"].values())
    assert case["unknown"].startswith("no schedule 'wave'")


def test_gradients_are_clipped_together_and_only_above_the_norm(found: dict[str, Any]) -> None:
    assert found["clipped"] == {"0.0": [3, 4], "1.0": [0.6, 0.8], "100.0": [3, 4]}
    free, clipped = found["a_clipped_step"]["0.0"], found["a_clipped_step"]["0.01"]
    assert free > 0.1 and clipped == pytest.approx(0.01, rel=0.01)


def test_dropout_is_for_training_alone(found: dict[str, Any]) -> None:
    assert found["dropout"] == {"differs while training": True, "off when it is judged": True, "0 leaves it out": True}


# --- train ------------------------------------------------------------------------------------------------------------


def test_training_learns(found: dict[str, Any]) -> None:
    case = found["trained"]
    assert case["steps"] == 18 and case["losses"][-1] < 0.2 * case["losses"][0] and case["accuracy"] == 1.0


def test_early_stopping_keeps_the_epoch_that_was_best(found: dict[str, Any]) -> None:
    case = found["stopped_early"]
    assert case["stopped"] is True and case["epochs"] == case["best"] + 2 and case["is best"] is True
    assert case["without patience"] == 3


def test_a_loss_that_is_no_number_ends_the_run(found: dict[str, Any]) -> None:
    for said in found["diverged"]:
        assert "loss became" in said and "--rate" in said and "envdoctor bench --workload numerics" in said


def test_a_run_resumed_in_mid_epoch_ends_with_the_same_bits(found: dict[str, Any]) -> None:
    case = found["resumed"]
    assert case["began at"] == [1, 4, 8] and case["steps"] == [9, 9]
    assert case["weights"] is True and case["losses"] is True


@pytest.mark.parametrize(
    "part", ["optimiser", "random numbers", "augmentation's", "loader's place", "schedule"], ids=lambda part: part
)
def test_each_part_of_a_checkpoint_matters(found: dict[str, Any], part: str) -> None:
    assert found["resumed"][f"without the {part}"] is False


# --- evaluate ---------------------------------------------------------------------------------------------------------


def test_scores_are_those_worked_out_from_the_confusion_matrix(found: dict[str, Any]) -> None:
    case = found["scores"]
    assert [case["perfect"][name] for name in ("images", "accuracy", "precision", "recall", "f1")] == [8, 1, 1, 1, 1]
    two = case["two classes"]  # [[8, 2], [1, 9]]
    assert two["accuracy"] == pytest.approx(17 / 20) and two["recall"] == pytest.approx((8 / 10 + 9 / 10) / 2)
    assert two["precision"] == pytest.approx((8 / 9 + 9 / 11) / 2) and two["f1"] == pytest.approx(
        (16 / 19 + 18 / 21) / 2
    )
    never = case["never predicted"]  # [[4, 0], [6, 0]]: the second class has precision 0
    assert [never["precision"], never["recall"], never["f1"]] == pytest.approx([0.2, 0.5, 4 / 14])
    absent = case["absent class"]  # neither there nor predicted: left out of the means
    assert absent["recall"] == pytest.approx((3 / 4 + 1) / 2) and absent["precision"] == pytest.approx((1 + 4 / 5) / 2)
    assert case["empty"]["images"] == 0 and case["empty"]["accuracy"] == 0.0
    assert case["matrix"] == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]


def test_scores_agree_with_scikit_learn(found: dict[str, Any]) -> None:
    from sklearn import metrics

    for case in found["random_matrices"]:
        true, called, scores = case["true"], case["called"], case["scores"]
        assert scores["accuracy"] == pytest.approx(metrics.accuracy_score(true, called))
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            true, called, average="macro", zero_division=0
        )
        assert [scores["precision"], scores["recall"], scores["f1"]] == pytest.approx([precision, recall, f1])
        assert scores["confusion"] == metrics.confusion_matrix(true, called).tolist()


def test_an_evaluation_covers_all_batches_and_leaves_the_model_training(found: dict[str, Any]) -> None:
    case = found["evaluated"]
    assert case["scores"]["images"] == 4 and case["scores"]["accuracy"] == 0.75
    assert case["scores"]["confusion"] == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]
    assert case["loss off"] < 1e-5 and case["training again"] is True  # the mean over images, not over batches


# --- fine-tune --------------------------------------------------------------------------------------------------------


def test_fine_tuning_takes_the_backbone_and_moves_what_is_not_frozen(found: dict[str, Any]) -> None:
    case = found["tuned"]
    assert case["taken"] is True and case["head is fresh"] is True
    assert case["frozen"] == ["fc2.weight", "fc2.bias"]
    assert case["all"] == [
        f"{layer}.{kind}" for layer in ("conv1", "conv2", "fc1", "fc2") for kind in ("weight", "bias")
    ]


def test_a_backbone_that_does_not_fit_is_refused_with_the_size_that_would(found: dict[str, Any]) -> None:
    case = found["backbones_that_do_not_fit"]
    assert "--size 16" in case["other size"] and case["size"] == 16
    assert "resnet.pt is no checkpoint of a reference CNN" in case["no CNN"] and "fc1 has another shape" in case["odd"]


# --- checkpoints ------------------------------------------------------------------------------------------------------


def test_a_checkpoint_of_the_articles_literal_class_loads(found: dict[str, Any]) -> None:
    case = found["literal_checkpoint"]
    assert case["equal"] is True and case["parameters"] == [412_143_464, 412_143_464]
    assert case["shapes at 224"]["fc1.weight"] == [1024, 128 * 56 * 56]


@pytest.mark.parametrize("kind", ["parallel", "compiled", "lightning"])
def test_weights_saved_from_a_wrapped_model_load(found: dict[str, Any], kind: str) -> None:
    assert found["wrapped_checkpoints"][kind] is True


@pytest.mark.parametrize("kind", ["text", "empty", "dict", "list", "harmful", "cut", "absent", "folder"])
def test_a_file_that_is_no_checkpoint_is_one_line_and_its_code_does_not_run(found: dict[str, Any], kind: str) -> None:
    said = found["no_checkpoints"][kind]
    assert said != "accepted" and "\n" not in said and len(said) < 400, said
    assert ("" if kind == "folder" else f"{kind}.pt") in said and "weights_only" not in said
    assert found["no_checkpoints"]["code ran"] is False


def test_a_digest_is_of_names_shapes_and_values_and_of_nothing_else(found: dict[str, Any]) -> None:
    case = found["digests"]
    assert case["the same"] is True and case["channels_last"] is True
    assert not any(case[name] for name in ("a bit", "a shape", "a name"))


def test_a_run_keeps_four_files_that_are_no_larger_than_they_must_be(found: dict[str, Any]) -> None:
    case = found["kept"]
    training, done = case["sizes"]
    assert set(training) == {"metrics.jsonl", "metrics.csv", "last.pt", "best.pt"}
    # Weights and Adam's two moments while there is something to go on with; then the weights alone.
    assert 3 <= training["last.pt"] / case["weights"] < 3.1 and 1 <= training["best.pt"] / case["weights"] < 1.1
    assert done["last.pt"] / case["weights"] < 1.1 and case["judged again"] is True and case["final"] is True
    assert case["best"] == [3, 3, 3] and case["links"] == 2  # the last epoch was the best: one file under two names


def test_final_weights_are_not_the_best_ones_under_another_name(found: dict[str, Any]) -> None:
    assert found["best_that_is_not_last"] == {"epochs": [1, 3], "equal": False, "final": True}


def test_checkpoints_come_by_steps_at_the_end_and_when_a_run_is_asked_to_stop(found: dict[str, Any]) -> None:
    case = found["kept"]
    assert case["last"] == 9 and case["checkpoints told"] >= 5
    assert case["stopped"] == ["SIGTERM", 1]  # after the step that was under way


# --- the device's first step ------------------------------------------------------------------------------------------


def test_a_correct_first_step_passes_in_every_precision_and_leaves_the_model_alone(found: dict[str, Any]) -> None:
    case = found["first_steps"]
    assert [case[name][2] for name in ("fp32", "default", "bf16")] == [""] * 3
    assert case["fp32"][:2] == [1.0, 0.0] and 0.98 < case["bf16"][0] < 1 and case["untouched"] is True


@pytest.mark.parametrize("fault", ["loss", "nan", "direction", "cosine nan", "silent tf32"])
def test_a_first_step_that_is_wrong_is_refused(found: dict[str, Any], fault: str) -> None:
    assert "CPU" in found["first_steps"][fault]


def test_a_gradient_that_is_missing_not_finite_or_turned_round_agrees_with_nothing(found: dict[str, Any]) -> None:
    case = found["first_steps"]
    assert case["missing"] == case["not finite"] == -1 and case["turned"] == [-1, 2]


# --- settings ---------------------------------------------------------------------------------------------------------


def test_settings_that_cannot_be_are_refused_by_name(found: dict[str, Any]) -> None:
    said = found["settings_that_cannot_be"]
    words = ["'fast'", "'adagrad'", "'wave'", "epochs", "multiple of 4", "dropout", "rate", "crop of 17"]
    words += ["--finetune-from", "warp", "crop must", "weight decay", "clip norm", "workers", "test share must"]
    words += ["leave nothing to train on", "rotation", "two classes", "target accuracy", "learning rate"]
    assert [word for word, text in zip(words, said, strict=True) if word not in text] == []
