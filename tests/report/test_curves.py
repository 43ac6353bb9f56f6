import base64

from pipeline.report.curves import Training, chosen_by_loss, draw_curves, group, read_curves, read_training


def drawn(seeds):
    trainings = {seed: Training(curves, None) for seed, curves in seeds.items()}
    return base64.b64decode(draw_curves(trainings).partition(",")[2]).decode()


def test_curves(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text("epoch,step,train_loss,val_cider\n1,10,3.5,\n2,20,2.5,1.5\n")
    curves = read_curves(path)
    assert curves == {"train_loss": ([1, 2], [3.5, 2.5]), "val_cider": ([2], [1.5])}
    assert group(["train_loss", "train_left_to_right", "val_cider"]) == {
        "loss": ["train_loss", "train_left_to_right"],
        "val_cider": ["val_cider"],
    }
    picture = drawn({4: curves})
    assert "train loss" not in picture  # a single curve needs no legend
    assert ">val cider<" in picture
    assert "seed" not in picture
    path.write_text("epoch,train_loss\n")
    assert read_curves(path) == {}


def test_an_epoch_that_the_loss_chose_is_told(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text("epoch,val_cider,kept_by\n1,0.0,\n2,0.0,val_loss\n3,0.0,\n")
    assert chosen_by_loss(path) == "2"
    assert "kept_by" not in read_curves(path)
    assert read_training(path) == ({"val_cider": ([1, 2, 3], [0, 0, 0])}, 2)
    for text in ("epoch,val_cider,kept_by\n1,0.1,\n2,0.2,val_cider\n", "epoch,val_cider\n1,0.1\n"):
        path.write_text(text)
        assert chosen_by_loss(path) is None
    assert read_training(path).kept is None


def test_every_seed_has_a_line():
    loss, other = ([1.0, 2.0], [3.5, 2.5]), ([1.0, 2.0], [3.4, 2.0])
    picture = drawn({1: {"train_loss": loss}, 7: {"train_loss": other, "val_cider": loss}})
    assert "train loss, seed 1" in picture
    assert "train loss, seed 7" in picture
    assert "val cider, seed 7" not in picture  # the only line of its axes
    assert picture.count("stroke-dasharray") > drawn({1: {"train_loss": loss}}).count("stroke-dasharray")
