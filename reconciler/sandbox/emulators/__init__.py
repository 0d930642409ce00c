"""Emulators of systems that no package ships; each as unkind as its original (docs/systems names the traps).

Each package here declares its `SYSTEM`, and makes its app only when the gateway asks. A handler says
`request.state.wrote = True` exactly when it changed what the original would keep; the gateway logs that. An
emulator knows nothing of the others, of the gateway, or of the reconciler.
"""
