"""profiles/generic, for other schedulers, tried against SLURM by its commands alone."""

from .conftest import Project
from .slurm import Slurm
