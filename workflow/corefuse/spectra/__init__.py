"""From raw simulations to calibrated, broadened, normalised edges."""
