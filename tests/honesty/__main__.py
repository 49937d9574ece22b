"""`python -m tests.honesty`: print the table of all situations."""

import sys

from tests.honesty.table import judge_all, markdown

sys.stdout.write(markdown(judge_all()))
