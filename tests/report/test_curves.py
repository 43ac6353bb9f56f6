import base64

from pipeline.report.curves import draw_curves, group, read_curves


def test_curves(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text("epoch,step,train_loss,val_cider\n1,10,3.5,\n2,20,2.5,1.5\n")
    curves = read_curves(path)
    assert curves == {"train_loss": ([1, 2], [3.5, 2.5]), "val_cider": ([2], [1.5])}
    assert group(["train_loss", "train_left_to_right", "val_cider"]) == {
        "loss": ["train_loss", "train_left_to_right"],
        "val_cider": ["val_cider"],
    }
    picture = base64.b64decode(draw_curves(curves).partition(",")[2]).decode()
    assert "train loss" not in picture  # a single curve needs no legend
    assert ">val cider<" in picture
    path.write_text("epoch,train_loss\n")
    assert read_curves(path) == {}
