"""From spectra to models: dataset, features, training, scores, intervals, domain."""
