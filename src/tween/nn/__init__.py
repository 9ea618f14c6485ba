"""Floor 2: networks that losses and metrics, or several families, share."""
