"""One resumable training, whatever learns: `loop.train` takes a task and goes through its epochs."""
