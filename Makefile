# Two commands do everything, each with its own set-up: `make repro` and `make test`.
#   make repro              reproduce all tables and figures with the parameters in params.yaml (the demo)
#   make repro SUITE=ci     first switch params.yaml to another suite (README lists them)
#   make repro SUITE=photos ACCEPT=1    where no terminal can ask whether you accept the terms that it shows
#   make repro SUITE=lfw SET="faces.folder=/my/lfw faces.pairs=/my/pairs.txt"
#   make repro SET="ablation.repeats=[2, 5] about=Two words"     values may hold spaces, lists and quotation marks
#   make test               unit tests, then the ci suite end to end in a fresh clone
#   make lab                JupyterLab on the start notebook
#   make course             JupyterLab on the first lesson of the course

VENV   ?= .venv
PYTHON ?= python3
BIN    := $(abspath $(VENV))/bin
READY  := $(VENV)/.ready
RUN    := PATH="$(BIN):$$PATH" "$(BIN)/python"
export SET

.PHONY: repro test lab course help clean-venv

help:
	@sed -n 's/^#   //p' Makefile

$(READY): pyproject.toml constraints.txt
	@echo "== environment: $(VENV) (once, about 3 minutes)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 5) and "Python 3.11.5 or newer is needed; set PYTHON=/path/to/python3.11")'
	@git --version >/dev/null || { echo "git is needed (DVC stores its state beside it)"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@"$(BIN)/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $(READY)

repro: $(READY)
	@$(RUN) -m fiqa_core repro $(if $(SUITE),--suite $(SUITE)) $(if $(SET),--changes "$$SET") \
	  $(if $(ACCEPT),--accept-licence)

test: $(READY)
	@$(RUN) -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder

lab: $(READY)
	@$(RUN) -m jupyter lab --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

course: $(READY)
	@$(RUN) -m fiqa_core course start
	@$(RUN) -m jupyter lab --LabApp.default_url=/lab/tree/my_course/0_before_you_start.ipynb

clean-venv:
	rm -rf $(VENV)
