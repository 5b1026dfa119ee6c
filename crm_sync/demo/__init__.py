"""A day of support traffic through the whole service, and the proof that nothing was lost, doubled or misordered.

``run`` plays it, ``reconcile`` judges it from the sandboxes' states and the journal's figures. The judge is a pure
function and knows nothing of the engine, so that the fault run and the tests can trust it.
"""
