# The commands people use; README has each as plain pip, dvc and pytest lines too.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: repro test test-slow test-xgboost test-all lint format lock benchmark
.PHONY: gates ci-pull ci-repro ci-diff ci-summary ci-comment
.PHONY: release-check release-verify release-image release-attach

repro: .venv/installed          # the pipeline, from the raw table to the wheel
	dvc repro

gates: .venv/installed          # exits 1 where a gate fails; AGAINST=REV: what to compare with
	python -m tools.gates $(if $(AGAINST),--against $(AGAINST))

test: .venv/installed           # the fast tests
	pytest -n 2 -m "not slow"

test-slow: .venv/installed      # the tests that run real pipelines in copies of the repository
	pytest -n 2 -m slow

test-xgboost: .venv/installed   # the tests of model=xgboost, which installs its 183 MB
	.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-xgboost.txt
	pytest -n 2 -k xgboost

test-all: test test-slow test-xgboost

lint: .venv/installed           # what CI refuses
	ruff check .
	ruff format --check .
	mypy

format: .venv/installed
	ruff check --fix .
	ruff format .

benchmark: .venv/installed      # the numbers in README that time something
	python -m tests.benchmarks.repro_time

# What CI calls on a pull request; each runs here as well. DIFF_BASE: what to compare with. PULL_REQUEST: its number.
REPORT := dist/pull-request

ci-pull: .venv/installed        # data and models from the remote, where one is set; what is not there is made anew
	@[ -z "$$(dvc remote list)" ] || dvc pull --force || echo "make: dvc pull failed; dvc repro makes what is missing"

ci-repro: .venv/installed
	dvc repro

ci-diff: .venv/installed        # the report, and which pull request it is of
	python -m tools.pull_request write $(REPORT)

ci-summary:                     # on the page of the job
	cat $(REPORT)/report.md >> "$$GITHUB_STEP_SUMMARY"

ci-comment:                     # with the standard library alone: nothing is installed where a token is
	$(PYTHON) -m tools.pull_request post $(REPORT)

# What CI calls when a version's tag arrives; TAG=rides@v0.1.0 says which. All of it lies in dist/release then.
RELEASE := dist/release

release-check: .venv/installed  # the wheel of this checkout, refused unless it is the one that the tag names
	rm -rf $(RELEASE)
	python -m tools.promote check "$$TAG" --into $(RELEASE)

release-verify:                 # installed as anyone would, it answers its own examples
	rm -rf dist/venv
	$(PYTHON) -m venv dist/venv
	dist/venv/bin/python -m pip install -q --disable-pip-version-check $(RELEASE)/*.whl
	set -- $(RELEASE)/*.whl && file="$${1##*/}" && "dist/venv/bin/$${file%%-*}" verify

release-image:                  # needs Docker; the image answers its examples without network, or a file it may write
	docker build --file deploy/Dockerfile --tag "$$(echo "$$TAG" | tr @ :)" $(RELEASE)
	docker run --rm --read-only --cap-drop ALL --network none "$$(echo "$$TAG" | tr @ :)" verify
	docker save --output $(RELEASE)/image.tar "$$(echo "$$TAG" | tr @ :)"
	gzip -fn $(RELEASE)/image.tar

release-attach:                 # with the standard library alone: nothing is installed where a token is
	$(PYTHON) -m tools.promote.attach "$$TAG" $(RELEASE)

lock: .venv/installed           # after a change of dependencies in pyproject.toml
	uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.txt
	uv pip compile -q pyproject.toml --group dev -c requirements.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements-dev.txt
	uv pip compile -q --group xgboost -c requirements.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements-xgboost.txt
	uv pip compile -q --group s3 --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements-s3.txt
	uv pip compile -q --group s3-test -c requirements-s3.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o tests/requirements-s3.txt

.venv/installed: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || (echo "make: Python 3.11 or newer is needed, $(PYTHON) is older; say make PYTHON=..." && exit 1)
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@
