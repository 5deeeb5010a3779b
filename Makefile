.PHONY: install demo test compose-test dashboards-test lint docs dashboards bench scale mutants alert-quality rule-mutants clean

install: ## the exporter, for this machine; as root
	@scripts/bootstrap install

demo: ## a simulated fleet watched by the whole stack, on loopback
	@scripts/bootstrap demo
	@.venv/bin/minefleet-exporter demo --stack

test: ## all tests, with the real Prometheus and Alertmanager
	@scripts/bootstrap test
	@.venv/bin/python -m pytest

compose-test: ## the compose file in a real engine, if there is one and its images are there; as root
	@scripts/bootstrap test
	@MINEFLEET_COMPOSE_TEST=1 .venv/bin/python -m pytest -rs tests/compose

lint: ## what must be clean
	@scripts/bootstrap test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

dashboards-test: ## the dashboards' tables through Grafana's own transformations, where there is Node.js
	@scripts/bootstrap test
	@if ! command -v npm >/dev/null; then echo "skipped: Grafana's transformations need Node.js 20 or newer, with npm"; else \
	    mkdir -p build/grafana && cp tests/grafana/package.json build/grafana/ && \
	    npm install --prefix build/grafana --no-package-lock --no-audit --no-fund --loglevel error && \
	    MINEFLEET_GRAFANA_DATA=build/grafana .venv/bin/python -m pytest tests/grafana tests/e2e/test_dashboards.py; fi

docs: ## docs/metrics.md from the catalogue, and what messages say to do now from docs/runbook.md
	@scripts/bootstrap test
	.venv/bin/python docs/build.py

dashboards: ## grafana/dashboards from grafana/source
	@scripts/bootstrap test
	.venv/bin/python grafana/source/build.py

bench: ## what a probe, hostile answers and five thousand miners cost
	@scripts/bootstrap test
	.venv/bin/python benchmarks/probe.py
	.venv/bin/python benchmarks/hostile.py
	.venv/bin/python benchmarks/fleet.py

scale: ## two machines that stand in for each other, killed in parts; years of history; into docs/scale.md. PROGRAMS=directory
	@scripts/bootstrap test
	.venv/bin/python benchmarks/history.py --write $(if $(PROGRAMS),--programs $(PROGRAMS))
	.venv/bin/python benchmarks/discovery.py --write
	.venv/bin/python benchmarks/scale.py --write $(if $(PROGRAMS),--programs $(PROGRAMS))

mutants: ## are the tests worth it? MODULE=exporter/units.py for one file or folder; docs/mutants.md
	@scripts/bootstrap mutants
	@.venv/bin/python scripts/mutants.py $(MODULE)

alert-quality: ## two months of a fleet through the alert rules, and docs/alert-quality.md of what they found
	@scripts/bootstrap test
	@.venv/bin/python -m scripts.quality

rule-mutants: ## every rule changed a little, one thing at a time: does a test notice? RULE=NAME for one
	@scripts/bootstrap test
	@.venv/bin/python scripts/rule_mutants.py $(RULE)

clean:
	rm -rf .venv build mutants *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
