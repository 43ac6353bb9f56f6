# Each target prepares .venv by itself: `make demo` and `make test` are all a fresh machine needs.
PYTHON ?= python3
CORES ?= all
# How many jobs that would use a GPU run at once: as many as there are GPUs; without any, two share the CPUs.
GPUS ?= $$(python -c "from pipeline.jobs.gpus import visible_devices; print(len(visible_devices()) or 2)")

BIN := .venv/bin
STAMP := .venv/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test test-long test-unit test-faults test-cluster test-field test-browser fuzz lint bench lock
.DELETE_ON_ERROR:

# Quiet about rules and their settings, the workflow says in a line each which job begins and which is done.
RUN = snakemake --cores $(CORES) --resources gpu=$(GPUS) --quiet host rules reason

demo: $(STAMP)
	@echo "Clipgraph generates small videos of moving shapes, learns to caption them, and writes a report: some minutes."
	@$(RUN)
	@python -m pipeline.report.score_table

# Recognition from nothing to the report: what generated shapes do, by four recognizers. A quarter of an hour on 2 cores.
.PHONY: demo-recognition
demo-recognition: $(STAMP)
	@echo "Clipgraph generates small videos of moving shapes, and compares four networks that tell what the shapes do."
	@$(RUN) --configfile configs/recognition.yaml
	@python -m pipeline.report.score_table --configfile configs/recognition.yaml

# Two processes share the tests, each of which computes with one thread. TEST_PROCESSES=0: this one alone.
TEST_PROCESSES ?= 2
test: $(STAMP)
	OMP_NUM_THREADS=1 python -m pytest -n $(TEST_PROCESSES) --dist loadscope --no-loadscope-reorder

# Runs of the workflow that take minutes each, which `make test` leaves out.
test-long: $(STAMP)
	python -m pytest -m long

test-unit: $(STAMP)
	python -m pytest -m "not slow"

# Kills, full disks, damage and the like, at seeded moments; a dozen minutes. FAULT_SEED=N: other moments.
test-faults: $(STAMP)
	python -m pytest tests/faults -v

# 3,000 damaged or altered videos: each ends as right frames, suspect or left out with a reason; some minutes.
# FUZZ_SEED=N: other ones. It prints a line for each that does what none may do, and ends with 1 then.
fuzz: $(STAMP)
	PYTHONPATH=tests python -m fuzz --seed $(or $(FUZZ_SEED),0) --keep .fuzz

# On a SLURM that the suite starts and stops; it says what that needs.
test-cluster: $(STAMP)
	python -m pytest tests/cluster

# Files as cameras, editors and recorders write them, frame by frame beside what Debian's `ffmpeg` shows; a dozen
# minutes. FIELD_FILES=FOLDER: the files of that folder, too.
test-field: $(STAMP)
	python -m pytest tests/field

# The report and the gallery in a headless Chromium (Debian's `chromium`; CHROMIUM=PROGRAM: another one), opened from
# disk; a few minutes. Pictures of every page that it saw are left in .browser/.
test-browser: $(STAMP)
	python -m pytest tests/browser

lint: $(STAMP)
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile rules
	snakemake --lint
	codespell

# Measurements: speed side by side (the table), memory, and what the demo's captions say of the generator's truth. The
# two whose lines begin with a dash end with 1 beyond their limits, which fails nothing here.
bench: demo
	python -m benchmarks --json bench.json
	-python -m benchmarks.memory
	-python -m benchmarks.commit_overhead
	python -m benchmarks.score_truth --experiment grid

# The pictures of the README, out of the demo's results and what explains them. It needs Chromium (Debian's `chromium`).
.PHONY: pictures
pictures: demo
	@$(RUN) --configfile configs/shapes_explained.yaml
	python -m benchmarks.pictures --results results --out docs/pictures

# The newest versions that pyproject.toml allows. The new lock makes .venv stale: the next target installs it.
lock: $(STAMP)
	uv pip compile --universal --generate-hashes --no-header --no-annotate --no-emit-index-url --no-strip-extras --extra dev --extra cluster --extra knowledge --upgrade -o requirements.lock pyproject.toml

# pip brings uv, which brings the rest: it loads files side by side. It reads no configuration of pip's (for an index of
# one's own: UV_DEFAULT_INDEX), so pip does the rest where uv cannot. TORCH_INDEX=URL: torch without CUDA, which is
# two thirds of all, from an index that has it. Its files are not those of the lock; no hash is held against them.
TORCH_INDEX ?=
CUDA_TORCH := torch|torchvision|triton|nvidia-.*|cuda-.*
UV_INSTALL := $(BIN)/uv pip install --python $(BIN)/python --no-deps

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	awk '/^[a-z]/ {wanted = /^uv==/} wanted' requirements.lock > .venv/uv.lock
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r .venv/uv.lock
ifeq ($(TORCH_INDEX),)
	$(UV_INSTALL) --require-hashes -r requirements.lock \
		|| $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
else
	awk '/^[a-z]/ {wanted = !/^($(CUDA_TORCH))==/} wanted' requirements.lock > .venv/without-torch.lock
	$(UV_INSTALL) --require-hashes -r .venv/without-torch.lock
	$(UV_INSTALL) --default-index $(TORCH_INDEX) $$(grep -oE '^(torch|torchvision)==[0-9.]+' requirements.lock)
endif
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
