"""accuracy, and macro precision, recall and F1 by scikit-learn of the predictions that a confusion matrix (JSON) counts."""

import json
import sys

from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

confusion = json.loads(sys.argv[1])
pairs = [(i, j) for i, row in enumerate(confusion) for j, count in enumerate(row) for _ in range(count)]
labels, predicted = [i for i, _ in pairs], [j for _, j in pairs]
assert confusion_matrix(labels, predicted).tolist() == confusion
precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)
scores = {"accuracy": accuracy_score(labels, predicted), "precision": precision, "recall": recall, "f1": f1}
sys.stdout.write(json.dumps({name: float(value) for name, value in scores.items()}))
