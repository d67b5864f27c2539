"""What every stage needs: errors, files, edges, spectra on grids, raw simulations."""
