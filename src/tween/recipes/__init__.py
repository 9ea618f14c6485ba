"""Floor 7: functions returning a whole `Run`, where model, data and engine meet."""
