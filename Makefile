# Everything a developer types. `make help` lists it. GNU make 3.81 and later.

PYTHON ?= python3
PORT   ?= 7860
VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip --disable-pip-version-check

# Stamps inside .venv remember what was installed; they are worthless once .venv is broken
# or was moved, so a python that does not start takes them away.
VENV_STAMP := $(VENV)/.stamp-venv
RUN_STAMP  := $(VENV)/.stamp-run
DEV_STAMP  := $(VENV)/.stamp-dev
INSTALLING := $(VENV)/.installing
$(shell $(PY) -c "" >/dev/null 2>&1 || rm -f $(VENV_STAMP) $(RUN_STAMP) $(DEV_STAMP))

# The browser that tests/test_browser_*.py drive: $CHROMIUM, else the first one found.
MAC_CHROME := /Applications/Google Chrome.app/Contents/MacOS/Google Chrome
CHROMIUM   ?= $(shell command -v chromium || command -v chromium-browser || \
                command -v google-chrome || command -v google-chrome-stable || \
                { test -x "$(MAC_CHROME)" && echo "$(MAC_CHROME)"; })
export CHROMIUM

.DEFAULT_GOAL := help
.PHONY: help run test check format bench constraints clean

help: ## list these commands
	@echo "DeAR Studio. Commands:"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "PORT=7861 chooses the port of run, ARGS='-k windows' goes to pytest,"
	@echo "PYTHON=python3.12 the Python that .venv is made with."

run: $(RUN_STAMP) ## install what is needed into .venv and start the app (PORT=7860)
	$(PY) app.py --port $(PORT)

test: $(DEV_STAMP) ## run the tests, browser tests too where a Chromium is found
	@if [ -n "$$CHROMIUM" ]; then echo "Browser tests run in $$CHROMIUM"; else \
	  echo "NOTE: no Chromium found, so the browser tests are SKIPPED."; \
	  echo "      Install chromium or set CHROMIUM=/path/to/it to run them."; fi
	$(PY) -m pytest $(ARGS)

check: $(DEV_STAMP) ## ruff, formatting, mypy and the layering test
	@status=0; \
	for step in "ruff check ." "ruff format --check ." "mypy" "mypy app.py" \
	    "pytest -q tests/test_layering.py"; do \
	  echo "== $$step"; $(PY) -m $$step || status=1; done; \
	exit $$status

format: $(DEV_STAMP) ## let ruff sort the imports and lay out the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: $(DEV_STAMP) ## measure the speed of both stages on this machine
	$(PY) -m benchmarks $(ARGS)

constraints: $(DEV_STAMP) ## pin what .venv holds now in constraints.txt
	$(PY) .ci/pin_constraints.py requirements.txt requirements-dev.txt > constraints.txt.new
	mv constraints.txt.new constraints.txt
	@touch $(RUN_STAMP) $(DEV_STAMP)

clean: ## remove .venv and the tools' caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

# $(INSTALLING) marks an install that has begun and not succeeded. pip can take half a package for
# a whole one, so after such an end every installed file is looked for, and .venv is only kept if
# none is missing.
QUIET := $(if $(CI),--quiet)
WHOLE := import sys; from importlib.metadata import distributions; \
  sys.exit(any(d.files is None or not all(f.locate().exists() for f in d.files if f.suffix != ".pyc") \
  for d in distributions()))

$(VENV_STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "expected Python 3.10 or later, got $$($(PYTHON) --version 2>&1);" \
	    "run make PYTHON=python3.12"; exit 1; }
	@$(PIP) --version >/dev/null 2>&1 || { \
	  echo "Making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv --clear $(VENV); }
	@touch $@

define install
@if [ -f $(INSTALLING) ]; then \
  if kill -0 "$$(cat $(INSTALLING))" 2>/dev/null; then \
    echo "another install into $(VENV) is running (process $$(cat $(INSTALLING))); wait for it"; \
    exit 1; \
  fi; \
  if ! $(PY) -c '$(WHOLE)'; then \
    echo "The last install broke off half way: starting $(VENV) afresh."; \
    $(PYTHON) -m venv --clear $(VENV) && touch $(VENV_STAMP) || exit 1; \
  fi; \
fi; \
echo "Installing $(1) into $(VENV); the first time this takes some minutes"; \
echo $$$$ > $(INSTALLING); \
$(PIP) install $(QUIET) -r $(1) -c constraints.txt && rm -f $(INSTALLING)
endef

$(RUN_STAMP): requirements.txt constraints.txt $(VENV_STAMP)
	$(call install,requirements.txt)
	@touch $@

$(DEV_STAMP): requirements-dev.txt $(RUN_STAMP)
	$(call install,requirements-dev.txt)
	@touch $@
