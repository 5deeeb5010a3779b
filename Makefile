.PHONY: demo test compose-test lint docs dashboards bench clean

demo: ## a simulated fleet watched by the whole stack, on loopback
	@scripts/bootstrap demo
	@.venv/bin/minefleet-exporter demo --stack .

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

docs: ## docs/metrics.md from the catalogue
	@scripts/bootstrap test
	.venv/bin/python docs/build.py

dashboards: ## grafana/dashboards from grafana/source
	@scripts/bootstrap test
	.venv/bin/python grafana/source/build.py

bench: ## what a probe costs
	@scripts/bootstrap test
	.venv/bin/python benchmarks/probe.py

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
