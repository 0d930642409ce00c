"""Emulators of systems that no package ships; each as unkind as its original (facts.md names the traps).

A module here offers `create_app(store, ...) -> Starlette`. A handler says `request.state.wrote = True`
exactly when it changed what the original would keep; the gateway logs that. An emulator knows nothing of
the others, of the gateway, or of the reconciler.
"""
