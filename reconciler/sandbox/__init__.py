"""The servers and emulators of `--sandbox`; nothing outside the command line and the tests imports them."""
