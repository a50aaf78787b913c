"""A module that imports NumPy, whose OpenBLAS starts threads."""

import numpy as np

from rescind import JobContext, job


@job("numpy__c")
def numpy_job(context: JobContext) -> dict[str, float]:
    square = np.ones((300, 300))
    return {"product": float((square @ square).sum()), "drawn": float(np.random.random())}  # noqa: NPY002 - the global generator is the test
