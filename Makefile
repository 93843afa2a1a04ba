# Each target makes everything it needs on a fresh machine: uv, .venv, the package. Python >= 3.10 and make are enough.
#   make demo       the whole study in small, under five minutes on two cores
#   make notebook   JupyterLab, opened at training/
#   make study      everything of the evidence, going on where it stopped: make study DATA=/path/to/EchoNet-Dynamic TIER=gpu
#   make test       what must always hold (fast tier); make test-slow, make benchmark
# TORCH=auto lets uv pick the torch build for this machine's driver, or the small CPU one: make demo TORCH=auto

PYTHON ?= >=3.10,<3.14
TORCH ?=
TIER ?= cpu
DATA ?=
CAMUS ?=
ONLY ?=
FRAMES ?=
DOMAINS ?=
VENV := .venv
BIN := $(VENV)/bin
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
INSTALL = $(UV) pip install --quiet --python $(BIN)/python -c constraints.txt $(if $(TORCH),--torch-backend=$(TORCH)) -e .
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.PHONY: demo notebook study test test-slow benchmark colab constraints clean

demo: $(VENV)/installed
	$(BIN)/echogan demo

notebook: $(VENV)/installed
	$(BIN)/python -m ipykernel install --sys-prefix --name echogan --display-name EchoGAN
	$(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/training

study: $(VENV)/installed
	$(BIN)/echogan study --tier $(TIER) $(if $(DATA),--data "$(DATA)") $(if $(CAMUS),--camus "$(CAMUS)") $(if $(ONLY),--only $(ONLY))

test: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyrefly check
	$(PYTEST) -n 2 --dist worksteal

test-slow: $(VENV)/installed-dev
	$(PYTEST) -m slow

benchmark: $(VENV)/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/table.py $(if $(FRAMES),--frames "$(FRAMES)") $(if $(DOMAINS),--domains "$(DOMAINS)")

colab: $(VENV)/installed-dev
	$(BIN)/python colab/build.py

# A build of torch pins the CUDA packages it was made with: pins of one build would forbid every other that TORCH=auto may pick.
constraints: $(VENV)/installed-dev
	$(UV) pip compile --quiet --universal --python-version 3.10 --all-extras --group dev --no-header --no-annotate \
		--upgrade pyproject.toml -o constraints.txt
	grep -Ev '^(cuda|nvidia)-' constraints.txt > $(VENV)/pins && mv $(VENV)/pins constraints.txt

clean:
	rm -rf $(VENV) .uv

$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL)
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(INSTALL) --group dev
	touch $@

$(BIN)/python: | $(UV)
	$(UV) venv --quiet --python "$(PYTHON)" $(VENV)

.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/python -m pip install --quiet uv
