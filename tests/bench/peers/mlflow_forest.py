"""A forest in MLflow's format; runs in MLflow's own environment.

``mlflow_forest.py CSV FOLDER`` trains on a table whose last column is the target, and saves it.
"""

from __future__ import annotations

import sys

import mlflow.sklearn
import pandas as pd
from sklearn.ensemble import RandomForestClassifier

table = pd.read_csv(sys.argv[1])
features, target = table.iloc[:, :-1].astype(float), table.iloc[:, -1]
forest = RandomForestClassifier(20, max_depth=6, random_state=0, n_jobs=1).fit(features, target)
mlflow.sklearn.save_model(forest, sys.argv[2], skops_trusted_types=["sklearn.tree._tree.Tree"])
