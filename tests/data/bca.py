"""Writes bca.json: BCa intervals by SciPy, each with the bootstrap distribution that it was given. python3 bca.py > bca.json"""
import json
import types
import warnings

import numpy as np
from scipy import stats

random = np.random.default_rng(7)
fixtures = []
for name, draw in {
    "normal": lambda n: random.normal(0, 0.03, n),
    "skewed": lambda n: random.exponential(1, n),
    "heavy": lambda n: random.standard_t(2, n),
    "shifted": lambda n: random.normal(-0.1, 0.02, n),
}.items():
    for statistic in ("median", "mean"):
        for size, level in ((9, 0.95), (30, 0.9)):
            # Whole numbers: what is equal here is equal in JSON, too.
            sample = (draw(size) * 1e6).round()
            function = getattr(np, statistic)
            drawn = random.choice(sample, (199, size))
            bootstrap = function(drawn, axis=1)
            given = types.SimpleNamespace(bootstrap_distribution=bootstrap)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                interval = stats.bootstrap(
                    (sample,), function, n_resamples=0, bootstrap_result=given, method="BCa", confidence_level=level
                ).confidence_interval
            fixtures.append({
                "name": f"{name}, {statistic} of {size}", "statistic": statistic, "level": level,
                "sample": sample.tolist(), "bootstrap": bootstrap.tolist(),
                "low": float(interval.low), "high": float(interval.high),
            })
print(json.dumps(fixtures))
