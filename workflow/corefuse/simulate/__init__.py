"""Running engines: sites, retries, limits, MPI, programs, stored results."""
