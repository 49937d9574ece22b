"""A recording and its verdict as a page, a few lines on the terminal, and JSON. Nothing is judged here."""
