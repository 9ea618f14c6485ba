"""Video in and out: exact times, exact colours, all streams."""
