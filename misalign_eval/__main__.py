"""`python -m misalign_eval` is `misalign-eval`."""

from misalign_eval.cli.main import main

if __name__ == "__main__":
    main()
