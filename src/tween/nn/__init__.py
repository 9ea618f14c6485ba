"""Floor 2: networks that losses and metrics share."""
