"""What every service of the sample stack uses: one module a pattern, none of them depending on another."""
