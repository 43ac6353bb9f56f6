"""The resumable training that all networks share: `loop.train` takes a task through its epochs."""
