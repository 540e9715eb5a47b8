"""How fast the credit engine is, beside yardsticks measured in the same minutes. See README.md; run `make bench`."""
