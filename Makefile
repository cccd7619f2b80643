# Needs Python 3.11 or newer with pip; everything else is fetched into this folder.

PYTHON ?= python3
PORT ?= 8000
ARGS ?=

bootstrap := $(PYTHON) sensorapp/stack/bootstrap.py
python := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test soak lint bench bench-accuracy train-people train-shelf shell clean

help:  ## this list
	@echo "make <what>, where what is one of:"
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10 | sed 's/^/  /'
	@echo "PYTHON=python3.12 names another Python, PORT=8001 another port, ARGS=... goes to the program behind it."

setup:  ## fetch what is needed, into .venv and node_modules, and start nothing
	@$(bootstrap)

demo:  ## the whole of it with a demo chain, on http://127.0.0.1:8000, until Ctrl-C
	@$(bootstrap)
	@exec $(python) manage.py demo --port $(PORT) $(ARGS)

test:  ## all tests, against real services of their own (ARGS="-k name -x")
	@$(bootstrap) --dev
	@exec $(python) -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

soak:  ## half an hour of random faults, in which no event may be lost or counted twice (ARGS="--minutes 5 --seed 7")
	@$(bootstrap) --dev
	@exec $(python) -m tests.faults.soak $(ARGS)

lint:  ## style and types
	@$(bootstrap) --dev
	@$(python) -m ruff check .
	@$(python) -m ruff format --check .
	@$(python) -m mypy

bench:  ## all measurements of bench/, against services of their own
	@$(bootstrap) --dev
	@SENSORAPP_VAR=var/bench $(python) -m sensorapp.stack.run sh -ec '\
	  $(python) manage.py migrate --verbosity 0; \
	  for script in bench/[!_]*.py; do name=bench.$$(basename "$$script" .py); echo "== $$name"; \
	    $(python) -m "$$name" $(ARGS); done'

bench-accuracy:  ## how well the sensor counts: renders 28 hours, resumable, and takes long (ARGS="--seeds 3000 3004")
	@$(bootstrap) --dev --with accuracy
	@exec $(python) -m bench.accuracy $(ARGS)

train-people:  ## train the people model again: hours, resumable (ARGS="--steps evaluate")
	@$(bootstrap) --with training
	@exec $(python) -m sensor_sim.training people $(ARGS)

train-shelf:  ## the same for the shelf model
	@$(bootstrap) --with training
	@exec $(python) -m sensor_sim.training shelf $(ARGS)

shell:  ## Python with Django and the demo's data
	@$(bootstrap)
	@exec $(python) -m sensorapp.stack.run $(python) manage.py shell $(ARGS)

clean:  ## remove everything fetched or written: .venv, node_modules, var
	@$(PYTHON) -m sensorapp.stack.clean
