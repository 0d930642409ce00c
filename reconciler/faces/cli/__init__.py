"""The command line. Parses words, calls one thing, shows what came of it."""
