import pytest
import torch
from torch import nn
from toys.labelled_clips import TRAINING, settings

from pipeline.config import RecognizerTrainingSettings
from pipeline.recognition.cast_blocks import Places
from pipeline.recognition.norms import JointNorm
from pipeline.recognition.optimisers import make_optimizer, make_schedule
from pipeline.training.rates import observe_loss


def training(**others):
    return RecognizerTrainingSettings(**TRAINING | others)


class Model(nn.Module):
    """A parameter of each kind."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.bn = nn.BatchNorm2d(2)
        self.norm = JointNorm(2, 2, 1e-5)
        self.cell = nn.GRU(2, 2)
        self.scale = nn.Parameter(torch.zeros(4))
        self.heads = nn.ModuleDict({"class": nn.Linear(2, 3)})


def test_the_multipliers_of_tsm():
    """The head learns five times as fast, its bias ten times, other biases twice; norms and biases do not decay."""
    model = Model()
    optimizer = make_optimizer(
        model, model.heads, training(optimizer="sgd", lr=0.1, weight_decay=0.5, multipliers="tsm")
    )
    found = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    said = {name: found[id(parameter)] for name, parameter in model.named_parameters()}
    assert said.pop("heads.class.weight") == (0.5, 0.5)
    assert said.pop("heads.class.bias") == (1.0, 0.0)
    twice = {"conv.bias", "cell.bias_ih_l0", "cell.bias_hh_l0"}
    norms = {"bn.weight", "bn.bias", "norm.weight", "norm.bias"}
    assert said == {name: (0.2, 0.0) if name in twice else (0.1, 0.0) if name in norms else (0.1, 0.5) for name in said}
    assert not optimizer.defaults["nesterov"]
    rstg = make_optimizer(model, model.heads, training(optimizer="nesterov", momentum=0.9))
    assert rstg.defaults["nesterov"]


def test_without_multipliers_all_is_alike_and_what_is_frozen_is_left_out():
    model = Model()
    model.bn.requires_grad_(False)
    (group,) = make_optimizer(model, model.heads, training(optimizer="adamw", lr=0.1)).param_groups
    assert len(group["params"]) == len(list(model.parameters())) - 2
    assert isinstance(make_optimizer(model, model.heads, training(optimizer="adamw")), torch.optim.AdamW)


def rates(settings, steps_per_epoch, losses=()):
    """The learning rate of every step, where losses are observed after each epoch."""
    layer = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(layer.parameters(), lr=settings.lr)
    schedule = make_schedule(optimizer, settings, steps_per_epoch)
    found = []
    for epoch in range(settings.epochs):
        for _ in range(steps_per_epoch):
            found.append(round(optimizer.param_groups[0]["lr"], 6))
            optimizer.step()
            schedule.step()
        if losses:
            observe_loss(schedule, losses[epoch])
    return found


def test_learning_rates_by_hand():
    same = {"lr": 1.0, "warmup": 0.0}
    assert rates(training(**same, epochs=2, schedule="constant", steps=[]), 2) == [1, 1, 1, 1]
    assert rates(training(lr=1.0, warmup=0.5, epochs=2, schedule="cosine", steps=[]), 2) == [0.5, 1, 1, 0.5]
    assert rates(training(**same, epochs=4, schedule="steps", steps=[1, 3]), 2) == [
        1,
        1,
        0.1,
        0.1,
        0.1,
        0.1,
        0.01,
        0.01,
    ]


def test_a_cosine_ends_with_the_least_rate():
    settings = training(lr=0.5, warmup=0.0, epochs=3, schedule="cosine", steps=[], least_lr=0.1)
    assert rates(settings, 1) == [0.5, 0.4, 0.2]
    layer = nn.Linear(1, 1)
    schedule = make_schedule(torch.optim.SGD(layer.parameters(), lr=0.5), settings, 1)
    assert 0.5 * schedule.lr_lambdas[0](3) == pytest.approx(0.1)


class Blocks(nn.Module):
    """Two frozen blocks, of which what is added to the second one learns."""

    def __init__(self):
        super().__init__()
        self.body = nn.Module()
        self.body.blocks = nn.ModuleList(nn.Linear(2, 2) for _ in range(3)).requires_grad_(False)
        self.part = nn.Module()
        added = {str(n): nn.ModuleDict({"up": nn.Linear(2, 2), "places": Places("time", 3, 4, 2, 0.1)}) for n in (1, 2)}
        self.part.blocks = nn.ModuleDict(added)
        self.part.norm = nn.LayerNorm(2)
        self.heads = nn.ModuleDict({"class": nn.Linear(2, 3)})


def test_layers_learn_more_slowly_the_earlier_they_are_and_biases_norms_and_places_do_not_decay():
    model = Blocks()
    settings = training(optimizer="adamw", lr=1.0, weight_decay=0.5, multipliers="layers", layer_decay=0.75)
    optimizer = make_optimizer(model, model.heads, settings)
    of_parameter = {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    found = {name: of_parameter.get(id(parameter)) for name, parameter in model.named_parameters()}
    assert all(found.pop(f"body.blocks.{n}.{part}") is None for n in range(3) for part in ("weight", "bias"))
    block_1, block_2 = 0.75**2, 0.75
    assert found == {
        "part.blocks.1.up.weight": (block_1, 0.5), "part.blocks.1.up.bias": (block_1, 0.0),
        "part.blocks.1.places.time": (block_1, 0.0),
        "part.blocks.2.up.weight": (block_2, 0.5), "part.blocks.2.up.bias": (block_2, 0.0),
        "part.blocks.2.places.time": (block_2, 0.0),
        "part.norm.weight": (1.0, 0.0), "part.norm.bias": (1.0, 0.0),
        "heads.class.weight": (1.0, 0.5), "heads.class.bias": (1.0, 0.0),
    }  # fmt: skip
    assert optimizer.param_groups[0]["lr"] == 1.0


def test_the_first_of_twelve_blocks_learns_at_a_thirtieth_of_the_rate():
    model = nn.Module()
    model.blocks = nn.ModuleList(nn.Linear(1, 1) for _ in range(12))
    model.heads = nn.Linear(1, 1)
    settings = training(optimizer="adamw", lr=1.0, multipliers="layers", layer_decay=0.75)
    rate_of = {id(p): g["lr"] for g in make_optimizer(model, model.heads, settings).param_groups for p in g["params"]}
    assert rate_of[id(model.blocks[0].weight)] == pytest.approx(0.0317, abs=5e-5)
    assert rate_of[id(model.blocks[11].weight)] == 0.75


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"multipliers": "layers"}, "`layer_decay` is the factor"),
        ({"layer_decay": 0.75}, "`layer_decay` is the factor"),
        ({"schedule": "constant", "least_lr": 0.001}, "`least_lr` is what `schedule: cosine` falls to"),
        ({"schedule": "cosine", "lr": 0.1, "least_lr": 0.1}, "lies below `lr`"),
    ],
)
def test_rates_must_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        training(**changes)


def test_layers_are_those_of_cast():
    with pytest.raises(ValueError, match=r"`training.multipliers: layers` counts the blocks of `kind: cast`"):
        settings({"multipliers": "layers", "layer_decay": 0.75})


def test_a_plateau_lowers_the_rate_after_so_many_validations_without_a_better_loss():
    given = training(lr=1.0, warmup=0.0, epochs=7, schedule="plateau", steps=[2])
    losses = [5.0, 4.0, 4.5, 3.99999, 3.0, 3.0, 3.0]  # less than a ten-thousandth lower is not lower
    assert rates(given, 1, losses) == [1, 1, 1, 1, 0.1, 0.1, 0.1]


def test_a_checkpoint_holds_what_the_plateau_has_seen():
    settings = training(lr=1.0, warmup=0.0, epochs=4, schedule="plateau", steps=[2])
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    schedule = make_schedule(optimizer, settings, 1)
    for loss in (1.0, 1.0):
        observe_loss(schedule, loss)
    other = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    again = make_schedule(other, settings, 1)
    again.load_state_dict(schedule.state_dict())
    observe_loss(again, 1.0)
    assert other.param_groups[0]["lr"] == pytest.approx(0.1)


@pytest.mark.parametrize(("schedule", "steps"), [("steps", []), ("plateau", [1, 2]), ("cosine", [3])])
def test_steps_must_fit_the_schedule(schedule, steps):
    with pytest.raises(ValueError, match="`steps` are the epochs"):
        training(schedule=schedule, steps=steps)
