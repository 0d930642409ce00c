"""Groups of commands that `cli.py` puts under `reconcile`, and the options that several share."""
