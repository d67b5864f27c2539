"""Tables of the report: csv, json and raw attributes -> tables/*.html."""

import json

import pandas as pd

from corefuse.core import files, rawdata
from corefuse.report import tables

out = snakemake.output
index = pd.read_csv(snakemake.input.index)
tables.write(out.structures, index, "Structures", "Labels come from the built structure.")
raw = [files.read_result(p) for p in snakemake.input.raw]
runs = pd.DataFrame(rawdata.summary(dataset) for dataset in raw)
tables.write(out.simulations, runs, "Simulations", "One row per structure and engine.")
failed = pd.read_csv(snakemake.input.failed)
tables.write(out.failed, failed, "Failed structures", "Left out of the dataset.")
lost = [row for dataset in raw for row in rawdata.failed_sites(dataset)]
sites = pd.DataFrame(row | {"end of the log": tables.end_of(row["log"])} for row in lost)
tables.write(out.failed_sites, sites, "Failed sites", "Left out of their structure's mean.")
doubts = pd.DataFrame(row for dataset in raw for row in rawdata.warnings(dataset))
tables.write(out.warnings, doubts, "Warnings", "Kept in the dataset; the engine doubts them.")
calibration = pd.DataFrame(files.read_json(snakemake.input.calibration)).T.reset_index(names="edge")
tables.write(out.calibration, calibration, "Calibration", "One constant per edge.")
metrics = pd.read_csv(snakemake.input.metrics)
unread = [f"No model reads {m}: {w}." for m, w in json.loads(snakemake.params.not_read).items()]
tables.write(out.metrics, metrics, "Scores", " ".join(["Out-of-fold, over parents.", *unread]))
read = [pd.read_csv(p) for p in snakemake.input.inference]
inferred = pd.concat(read) if read else pd.DataFrame()
tables.write(out.inference, inferred, "Inference", "Prediction, interval, verdict.")
