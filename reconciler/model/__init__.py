"""Pure data: what is wanted, what was seen, what will change, what came of it. Knows no I/O and no clock."""
