"""SyncMNIST: digits that wander on black, two or more of them alike (Nicolicioiu, Duta, Leordeanu, NeurIPS 2019)."""

from pipeline.datasets.sync_mnist.labels import label_table

__all__ = ["label_table"]
