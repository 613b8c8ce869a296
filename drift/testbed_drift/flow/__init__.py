"""Month against month as a Prefect flow over Dask; the extra ``flow``.

``python -m testbed_drift.flow`` plays it. Only :mod:`.play` imports Prefect and Dask; Prefect's
server runs in a process of its own, see :mod:`.server`.
"""
