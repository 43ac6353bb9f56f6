"""The Lightning trainer of a captioner."""

import logging
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.strategies import DDPStrategy

from pipeline.captioning.training import CaptionerTraining
from pipeline.jobs.training_run import LAST, read_checkpoint, write_checkpoint
from pipeline.models.precision import compute_device, compute_dtype


def fit(task: CaptionerTraining, folder: Path) -> None:
    """Train, or continue from the checkpoint."""
    trainer = new_trainer(task, folder)
    last = folder / LAST
    is_there = read_checkpoint(last) is not None
    trainer.fit(task, datamodule=task.data, ckpt_path=last if is_there else None, weights_only=True)


def new_trainer(task: CaptionerTraining, folder: Path) -> L.Trainer:
    """A Lightning trainer for the processes and devices there are."""
    quiet_lightning()
    device = compute_device()
    num_processes = task.data.plan.num_processes
    backend = "nccl" if device.type == "cuda" else "gloo"
    return L.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=num_processes,
        strategy=DDPStrategy(process_group_backend=backend, broadcast_buffers=False) if num_processes > 1 else "auto",
        precision="bf16-mixed" if compute_dtype(task.settings.precision, device) == torch.bfloat16 else "32-true",
        max_epochs=task.settings.epochs,
        accumulate_grad_batches=task.settings.accumulate,
        gradient_clip_val=task.settings.clip_norm,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        plugins=[WholeCheckpoints(), TorchElasticEnvironment() if num_processes > 1 else LightningEnvironment()],
        logger=TensorBoardLogger(folder, name="", version="tensorboard"),
        callbacks=[
            ModelCheckpoint(
                folder,
                Path(LAST).stem,
                save_top_k=1,
                every_n_epochs=1,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            )
        ],
        enable_progress_bar=False,
        enable_model_summary=False,
    )


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole whenever a disk is full.

    Lightning's own are written to the temporary folder and moved; between file systems that is copied, over the last.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:  # noqa: ARG002
        """Put it in the place of the last one."""
        write_checkpoint(Path(path), checkpoint)

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> Any:  # noqa: ARG002
        """Read it; never anything but tensors and plain values."""
        return read_checkpoint(Path(path))


def quiet_lightning() -> None:
    """Leave out what Lightning says about devices it did not use and folders it goes on with."""
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*LeafSpec.* is deprecated.*",  # Lightning 2.6 uses what torch 2.15 renames
        "Checkpoint directory .* exists and is not empty.*",
        ".*smaller than the logging interval.*",
        ".*`srun` command is available.*",
        ".*your dataloader is not resumable.*",  # ours goes on where it was: EpochSampler
    ):
        warnings.filterwarnings("ignore", message)
