"""One resumable training, whatever learns: `loop.train` takes a task through its epochs."""
